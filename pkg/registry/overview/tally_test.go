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
	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// TestTooLargePod verifies that each response names a cached Pod that needs too much memory, and that the other Pods of
// its group are counted.
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
		g := grouped{sum: &dashboardv1alpha1.Overview{}, account: account, omit: func(namespace, name string) {
			omitted = append(omitted, namespace+"/"+name)
		}}
		if err := addGroups(t.Context(), g, groups, countPod); err != nil || g.sum.Pods != 2 || g.sum.RunningPods != 2 {
			t.Errorf("%d pods, %v", g.sum.Pods, err)
		}
		if !slices.Equal(omitted, []string{"shop/large"}) {
			t.Errorf("%q are omitted", omitted)
		}
	}
}

// TestEndedRequestDecodesNothing verifies that no object is decoded after the end of a request, and that the group is
// then counted for the next request.
func TestEndedRequestDecodesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := &readcache.Object{Name: "a", JSON: []byte(`{"status":{"phase":"Running"}}`)}
	groups := readcache.Groups{{readcache.NewGroup([]*readcache.Object{o, o, o})}}
	g := grouped{sum: &dashboardv1alpha1.Overview{}}
	decoded := 0
	count := func(p *corev1.Pod, out *dashboardv1alpha1.Overview) {
		decoded++
		cancel()
		countPod(p, out)
	}
	if err := addGroups(ctx, g, groups, count); !errors.Is(err, context.Canceled) || decoded != 1 {
		t.Errorf("%d objects were decoded: %v", decoded, err)
	}
	for range cap(decoding) {
		decoding <- struct{}{} // other requests decode
	}
	if err := addGroups(ctx, g, groups, count); !errors.Is(err, context.Canceled) || decoded != 1 {
		t.Errorf("%d objects were decoded: %v", decoded, err)
	}
	for range cap(decoding) {
		<-decoding
	}
	if err := addGroups(t.Context(), g, groups, countPod); err != nil || g.sum.Pods != 3 {
		t.Errorf("%d Pods: %v", g.sum.Pods, err)
	}
}

// TestGroupsDecodedConcurrently verifies that a request waits while other requests decode.
func TestGroupsDecodedConcurrently(t *testing.T) {
	for range cap(decoding) {
		decoding <- struct{}{}
	}
	done := make(chan error, 1)
	g := grouped{sum: &dashboardv1alpha1.Overview{}}
	groups := readcache.Groups{{readcache.NewGroup([]*readcache.Object{{JSON: []byte("{}")}})}}
	go func() { done <- addGroups(t.Context(), g, groups, countPod) }()
	select {
	case err := <-done:
		t.Errorf("the request did not wait: %v", err)
		done <- err
	case <-time.After(50 * time.Millisecond):
	}
	for range cap(decoding) {
		<-decoding
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
