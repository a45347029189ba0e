// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/readcache"
	"github.com/kubevision-io/kubevision/pkg/userlimit"
)

// TestTooLargePod verifies that an overview omits a cached Pod if decoding the Pod needs too much memory. Each overview
// reports the omitted Pod, and counts all other Pods.
func TestTooLargePod(t *testing.T) {
	pod := func(name, args string) *readcache.Object {
		return &readcache.Object{Namespace: "shop", Name: name, JSON: []byte(`{"metadata":{"name":"` + name +
			`"},"spec":{"containers":[{"args":[""` + args + `]}]},"status":{"phase":"Running"}}`)}
	}
	groups := readcache.Groups{{readcache.NewGroup([]*readcache.Object{
		pod("a", ""), pod("large", strings.Repeat(`,""`, 200_000)), pod("z", ""),
	})}}
	account := budget.New(8<<20).Account("reader", 0)
	defer account.Close()
	for range 2 {
		var omitted []string
		options := addOptions{sum: &dashboardv1alpha1.Overview{}, account: account, omit: func(namespace, name string) {
			omitted = append(omitted, namespace+"/"+name)
		}}
		err := addGroups(t.Context(), options, groups, countPod)
		if err != nil || options.sum.Pods != 2 || options.sum.RunningPods != 2 {
			t.Errorf("%d pods, %v", options.sum.Pods, err)
		}
		if !slices.Equal(omitted, []string{"shop/large"}) {
			t.Errorf("%q are omitted", omitted)
		}
	}
}

// TestEndedRequestDecodesNothing verifies that the server decodes no cached objects for a request that has ended. A
// later request for an overview counts all objects.
func TestEndedRequestDecodesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := &readcache.Object{Name: "a", JSON: []byte(`{"status":{"phase":"Running"}}`)}
	groups := readcache.Groups{{readcache.NewGroup([]*readcache.Object{o, o, o})}}
	options := addOptions{sum: &dashboardv1alpha1.Overview{}}
	decoded := 0
	count := func(p *corev1.Pod, out *dashboardv1alpha1.Overview) {
		decoded++
		cancel()
		countPod(p, out)
	}
	if err := addGroups(ctx, options, groups, count); !errors.Is(err, context.Canceled) || decoded != 1 {
		t.Errorf("%d objects were decoded: %v", decoded, err)
	}
	if err := addGroups(ctx, options, groups, count); !errors.Is(err, context.Canceled) || decoded != 1 {
		t.Errorf("%d objects were decoded: %v", decoded, err)
	}
	if err := addGroups(t.Context(), options, groups, countPod); err != nil || options.sum.Pods != 3 {
		t.Errorf("%d Pods: %v", options.sum.Pods, err)
	}
}

// TestProcessorTimeOfOneUser verifies the limit of the processor time for decoding objects:
//   - The processor time counts for the user who has sent the request.
//   - A user who has exceeded the limit gets the error code 42900 (too many requests).
//   - Other users do not wait.
func TestProcessorTimeOfOneUser(t *testing.T) {
	work := userlimit.NewWork()
	memory := budget.NewShared(budget.Options{Total: 8 << 20, Work: work})
	groupsOf := func() readcache.Groups {
		return readcache.Groups{{readcache.NewGroup([]*readcache.Object{{JSON: []byte("{}")}})}}
	}
	overviewOf := func(
		user string, groups readcache.Groups, look func(*corev1.Pod, *dashboardv1alpha1.Overview),
	) error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		account := memory.Account(user, 0)
		defer account.Close()
		return addGroups(ctx, addOptions{sum: &dashboardv1alpha1.Overview{}, account: account}, groups, look)
	}
	slow := func(*corev1.Pod, *dashboardv1alpha1.Overview) { time.Sleep(userlimit.WorkBurst + 100*time.Millisecond) }
	_ = overviewOf("greedy", groupsOf(), slow)
	err := overviewOf("greedy", groupsOf(), countPod)
	if e := envelope.As(err); err == nil || e.Code != dashboardv1alpha1.CodeTooManyRequests {
		t.Errorf("the user did not wait: %v", err)
	}
	if err := overviewOf("modest", groupsOf(), countPod); err != nil {
		t.Errorf("another user: %v", err)
	}
}
