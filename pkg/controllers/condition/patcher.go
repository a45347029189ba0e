// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// CatchUp is the time after which a controller reconciles an object again if Patcher.IsStale has returned true.
const CatchUp = 20 * time.Millisecond

// Patcher writes the status of objects. It also detects whether the cache has not yet received the last written status
// of an object. The zero value is ready for use.
type Patcher struct {
	mu      sync.Mutex
	written map[types.UID]string
}

// IsStale returns true if the object from the cache does not yet contain the last status that the Patcher has written.
// The controller must then skip the object, and reconcile it again after the duration CatchUp.
func (p *Patcher) IsStale(object client.Object) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	written, ok := p.written[object.GetUID()]
	if !ok {
		return false
	}
	if order, err := resourceversion.CompareResourceVersion(object.GetResourceVersion(), written); err == nil &&
		order < 0 {
		return true
	}
	delete(p.written, object.GetUID())
	return false
}

func (p *Patcher) note(object client.Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.written == nil {
		p.written = map[types.UID]string{}
	}
	p.written[object.GetUID()] = object.GetResourceVersion()
}

// Patch returns a function that a Reconcile function must defer. The deferred function writes the status of the object
// if Reconcile has changed it. If the condition Ready has a new status or reason, the deferred function also emits an
// event. Errors are added to *reterr.
func (p *Patcher) Patch(
	ctx context.Context, c client.Client, recorder events.EventRecorder, object client.Object,
	conditions *[]metav1.Condition,
	reterr *error, //nolint:gocritic // the caller's result is changed
) func() {
	original, ok := object.DeepCopyObject().(client.Object)
	before := slices.Clone(*conditions)
	return func() {
		if !ok {
			*reterr = errors.Join(*reterr, errors.New("the copy is not an object"))
			return
		}
		*reterr = errors.Join(*reterr, p.patch(ctx, c, recorder, object, original, before, *conditions))
	}
}

func (p *Patcher) patch(
	ctx context.Context, c client.Client, recorder events.EventRecorder, object, original client.Object,
	before, after []metav1.Condition,
) error {
	if equality.Semantic.DeepEqual(object, original) {
		return nil
	}
	// The patch contains only the differences between original and object. If original were stale, the patch would omit
	// a new value that original already contains, and the API server would keep a wrong value. See IsStale.
	if err := c.Status().Patch(ctx, object, client.MergeFrom(original)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("patching the status: %w", err)
	}
	p.note(object)
	was := meta.FindStatusCondition(before, kubevisionv1alpha1.ReadyCondition)
	is := meta.FindStatusCondition(after, kubevisionv1alpha1.ReadyCondition)
	if is == nil || (was != nil && was.Status == is.Status && was.Reason == is.Reason) {
		return nil
	}
	eventType := corev1.EventTypeNormal
	if is.Status != metav1.ConditionTrue {
		eventType = corev1.EventTypeWarning
	}
	recorder.Eventf(object, nil, eventType, is.Reason, "Reconcile", "%s", is.Message)
	return nil
}
