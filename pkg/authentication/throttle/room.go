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

// makeRoom drops what matters least where a new counter would be one too many: the fewest failures, of those the oldest. The users' and sessions'
// own counters are not among them: no flood of names can make anybody's failures forgotten.
func (t *Throttle) makeRoom(ctx context.Context, k key) error {
	if k.spec.Target == kubevisionv1alpha1.ThrottleUser || k.spec.Target == kubevisionv1alpha1.ThrottleSession {
		return nil
	}
	var all kubevisionv1alpha1.KubeVisionLoginThrottleList
	if err := t.Cache.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing failed logins: %w", err)
	}
	least, count := -1, 0
	now := t.Clock.Now()
	for i := range all.Items {
		if all.Items[i].Spec.Target != k.spec.Target {
			continue
		}
		count++
		if least < 0 || lessImportant(k.policy, &all.Items[i], &all.Items[least], now) {
			least = i
		}
	}
	if count < t.Strangers {
		return nil
	}
	if err := t.Client.Delete(ctx, all.Items[least].DeepCopy()); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("making room for failed logins: %w", err)
	}
	return nil
}

func lessImportant(p Policy, a, b *kubevisionv1alpha1.KubeVisionLoginThrottle, now time.Time) bool {
	x, y := p.At(counterOf(a), now), p.At(counterOf(b), now)
	if x.Failures != y.Failures {
		return x.Failures < y.Failures
	}
	return a.Spec.LastFailureTime.Before(&b.Spec.LastFailureTime)
}
