// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

func throttleSpec() object {
	return object{
		"target": "Address", "address": "192.0.2.1", "failures": int64(3),
		"lastFailureTime": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"),
	}
}

func TestThrottleValidation(t *testing.T) {
	judge(t, "KubeVisionLoginThrottle", map[string]verdict{
		"an address": {spec: throttleSpec()},
		"a user": {spec: with(throttleSpec(),
			object{"target": "User", "userName": "alice", "address": nil})},
		"an unknown name": {spec: with(throttleSpec(), object{"target": "UnknownName", "address": nil})},
		"a session": {spec: with(throttleSpec(),
			object{"target": "Session", "session": "01m8", "address": nil})},
		"no target":              {spec: with(throttleSpec(), object{"target": nil}), want: "spec.target"},
		"an unknown target":      {spec: with(throttleSpec(), object{"target": "Network"}), want: "spec.target"},
		"no failures":            {spec: with(throttleSpec(), object{"failures": int64(0)}), want: "spec.failures"},
		"an address without one": {spec: with(throttleSpec(), object{"address": nil}), want: "address must be set"},
		"a user without a name": {spec: with(throttleSpec(), object{"target": "User", "address": nil}),
			want: "userName must be set"},
		"a user and an address": {spec: with(throttleSpec(), object{"target": "User", "userName": "alice"}),
			want: "address must be set"},
		"a session without one": {spec: with(throttleSpec(), object{"target": "Session", "address": nil}),
			want: "session must be set"},
	})
}

func TestAForgivenThrottleGoes(t *testing.T) {
	guard(t)
	throttle := func(name string, last time.Time) *kubevisionv1alpha1.KubeVisionLoginThrottle {
		made := &kubevisionv1alpha1.KubeVisionLoginThrottle{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: kubevisionv1alpha1.KubeVisionLoginThrottleSpec{
				Target: kubevisionv1alpha1.ThrottleAddress, Address: "192.0.2.1", Failures: 3,
				LastFailureTime: metav1.NewMicroTime(last),
			},
		}
		create(t, made)
		return made
	}
	fresh := throttle("address-192.0.2.1", time.Now())
	old := throttle("address-192.0.2.2", time.Now().Add(-time.Hour))
	almost := throttle("address-192.0.2.3", time.Now().Add(-3*time.Minute+2*time.Second))
	eventuallyAbsent(t, old)
	eventuallyAbsent(t, almost)
	holds(t, time.Second, "while failures count", func(ctx context.Context) error {
		return env.Client.Get(ctx, client.ObjectKeyFromObject(fresh), fresh.DeepCopy())
	})
}
