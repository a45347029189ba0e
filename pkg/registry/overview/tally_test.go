// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	"slices"
	"strings"
	"testing"

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
		if err := addGroups(g, groups, countPod); err != nil || g.sum.Pods != 2 || g.sum.RunningPods != 2 {
			t.Errorf("%d pods, %v", g.sum.Pods, err)
		}
		if !slices.Equal(omitted, []string{"shop/large"}) {
			t.Errorf("%q are omitted", omitted)
		}
	}
}
