// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// evictCounter makes room for a new KubeVisionLoginThrottle with the key. If there are too many objects for the same
// kind of target, for example for addresses, evictCounter deletes the object with the fewest failures.
func (t *Throttle) evictCounter(ctx context.Context, k key) error {
	most := t.MaxCounters
	var only client.MatchingLabels
	switch k.spec.Target {
	case kubevisionv1alpha1.ThrottleUser:
		// These objects are never deleted. Otherwise, attackers could reset the failures of an account with attempts
		// for many other accounts.
		return nil
	case kubevisionv1alpha1.ThrottleDevice, kubevisionv1alpha1.ThrottleSession:
		// Each user has a separate maximum.
		most, only = countersPerUser, k.labels
	default:
	}
	var all kubevisionv1alpha1.KubeVisionLoginThrottleList
	if err := t.Cache.List(ctx, &all, client.UnsafeDisableDeepCopy, only); err != nil {
		return fmt.Errorf("listing failed logins: %w", err)
	}
	least, count := -1, 0
	now := t.Clock.Now()
	for i := range all.Items {
		if all.Items[i].Spec.Target != k.spec.Target {
			continue
		}
		count++
		if least < 0 || lessImportant(&all.Items[i], &all.Items[least], now) {
			least = i
		}
	}
	if count < most {
		return nil
	}
	if err := t.Client.Delete(ctx, all.Items[least].DeepCopy()); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing old counts of failed logins: %w", err)
	}
	return nil
}

func lessImportant(a, b *kubevisionv1alpha1.KubeVisionLoginThrottle, now time.Time) bool {
	x, y := expiryPolicy(a).At(counterOf(a), now), expiryPolicy(b).At(counterOf(b), now)
	if x.Failures != y.Failures {
		return x.Failures < y.Failures
	}
	return a.Spec.LastFailureTime.Before(&b.Spec.LastFailureTime)
}
