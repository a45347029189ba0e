// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"testing"
	"time"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestSearchOfASlowMember verifies that a search waits only a few seconds for a slow cluster. Other requests may wait
// longer.
func TestSearchOfASlowMember(t *testing.T) {
	const enough = 15 * time.Second // 5 s and a margin for a slow machine; a call may take 30 s
	a := newAiling(t)
	p, c := onStandin(t, a.standin)
	fault := faults()[slow]
	a.fault.Store(&fault)
	begun := time.Now()
	e := p.client.Call(t, wire.Request{Path: wire.DirectPath + "/search?q=x&kinds=pods&namespace=default&clusters=" +
		c.Name, Bearer: p.token})
	took := time.Since(begun)
	var got dashboardv1alpha1.SearchResults
	e.Want(t, wire.OK).Into(t, &got)
	if took > enough || !e.Meta.Partial || len(got.Clusters) != 1 ||
		got.Clusters[0].Status != dashboardv1alpha1.AccessUnreachable {
		t.Errorf("after %s: %+v, partial %t", took, got, e.Meta.Partial)
	}
	if a.asked.Load() == 0 {
		t.Error("the member received no request")
	}
}
