// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package containerlogs

import (
	"context"
	"net/url"
	"strconv"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

// selection determines the logs that a request reads. These are the logs of one Pod if pod is not empty, or else the
// logs of the Pods that match the label selector.
type selection struct {
	caller    *clusters.Client
	resource  clusters.Resource
	namespace string
	// pod is the name of the Pod whose logs are read. If it is empty, the Pods are selected by labels.
	pod string
	// selector is the label selector of the Pods whose logs are read. It is used only if pod is empty.
	selector string
	options  options
	// reading is locked while a Pod is decoded. A request therefore holds only one decoded Pod at a time in memory.
	reading sync.Mutex
}

// several returns true if the logs of several Pods are merged.
func (s *selection) several() bool { return s.pod == "" }

// sources returns the logs to read. For one Pod, this is the log of the selected container. For a label selector, these
// are at most maxSources logs of containers that run or have run.
func (s *selection) sources(ctx context.Context) ([]*source, error) {
	if !s.several() {
		return []*source{s.source(s.pod, s.options.container)}, nil
	}
	body, err := s.caller.Stream(ctx, clusters.Call{Resource: s.resource, Namespace: s.namespace, Query: url.Values{
		"labelSelector": {s.selector}, "limit": {strconv.Itoa(maxSources)},
	}})
	list := authorizationv1.ResourceAttributes{
		Namespace: s.namespace, Verb: "list", Version: "v1", Resource: podResource,
	}
	if err := authorization.CallError(ctx, s.caller, list, err); err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	var out []*source
	_, err = objects.ReadList(body, s.resource, budget.AccountFrom(ctx), func(o objects.Object) error {
		found, err := podOf(o, budget.AccountFrom(ctx))
		if err != nil {
			return err
		}
		for _, name := range found.started() {
			if (s.options.container == "" || s.options.container == name) && len(out) < maxSources {
				one := s.source(found.Metadata.Name, name)
				one.uid = found.Metadata.UID
				out = append(out, one)
			}
		}
		return nil
	})
	return out, err
}

func (s *selection) source(pod, container string) *source {
	return &source{
		reading: &s.reading, caller: s.caller, resource: s.resource, namespace: s.namespace, pod: pod,
		container: container, options: s.options,
	}
}

// selectorOf returns the label selector in spec.selector of the workload t. It returns an error if t has no such field
// or if the selector is empty.
func selectorOf(ctx context.Context, caller *clusters.Client, t objectref.Target) (string, error) {
	body, err := caller.Get(ctx, t.Resource, t.Namespace, t.Name, nil)
	if err := authorization.CallError(ctx, caller, t.Attributes("get"), err); err != nil {
		return "", err
	}
	var workload struct {
		Spec struct {
			Selector *metav1.LabelSelector `json:"selector"`
		} `json:"spec"`
	}
	if err := objects.Read(body, budget.AccountFrom(ctx), &workload); err != nil {
		invalid := envelope.New(dashboardv1alpha1.CodeInvalid, "the selector of this object cannot be read")
		return "", invalid.WithCause(err)
	}
	selector, err := metav1.LabelSelectorAsSelector(workload.Spec.Selector)
	if err != nil || selector.Empty() || selector.String() == labels.Nothing().String() {
		return "", envelope.Invalid("resource", "this object selects no Pods")
	}
	return selector.String(), nil
}
