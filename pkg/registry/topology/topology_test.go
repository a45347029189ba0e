// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
)

func TestDraw(t *testing.T) {
	var all []object
	for _, o := range []struct{ plural, body string }{
		{pods,
			`{"metadata":{"name":"p","uid":"1","labels":{"app":"web"},"ownerReferences":[{"uid":"2"},{"uid":"9",` +
				`"name":"unseen"}]},"status":{"phase":"Running"}}`},
		{"replicasets",
			`{"metadata":{"name":"r","uid":"2"},"spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"}}},` +
				`"status":{"readyReplicas":2}}`},
		{services, `{"metadata":{"name":"s","uid":"3"},"spec":{"selector":{"app":"web"}}}`},
		{services, `{"metadata":{"name":"all","uid":"4"},"spec":{}}`},
		{ingresses, `{"metadata":{"name":"i","uid":"5"},"spec":{"rules":[{"http":{"paths":[
			{"backend":{"service":{"name":"s"}}},{"backend":{"service":{"name":"s"}}},
			{"backend":{"service":{"name":"unseen"}}},{"backend":{"resource":{"name":"x"}}}]}}]}}`},
	} {
		made := object{plural: o.plural}
		if err := json.Unmarshal([]byte(o.body), &made); err != nil {
			t.Fatal(err)
		}
		all = append(all, made)
	}
	got, complete, err := draw(t.Context(), all)
	if err != nil || !complete {
		t.Fatalf("complete: %t, %v", complete, err)
	}
	want := []dashboardv1alpha1.TopologyEdge{
		{Source: "ingresses/i", Target: "services/s", Relation: "selects"},
		{Source: "replicasets/r", Target: "pods/p", Relation: "owns"},
		{Source: "services/s", Target: "pods/p", Relation: "selects"},
	}
	if len(got.Edges) != len(want) {
		t.Fatalf("got %+v", got.Edges)
	}
	for i := range want {
		if got.Edges[i] != want[i] {
			t.Errorf("got %+v, want %+v", got.Edges[i], want[i])
		}
	}
	if got.Nodes[0].Status != "Running" || got.Nodes[1].Status != "2/3" || got.Nodes[2].Status != "" {
		t.Errorf("the nodes are %+v", got.Nodes)
	}
	text, err := json.Marshal(got)
	if err != nil || strings.Contains(string(text), "unseen") {
		t.Errorf("what is not listed shows: %s, %v", text, err)
	}
	none, _, err := draw(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if empty, err := json.Marshal(none); err != nil || string(empty) != `{"nodes":[],"edges":[]}` {
		t.Errorf("of nothing: %s, %v", empty, err)
	}
}

// TestManyEdges verifies the limits of a topology with many Services and Pods:
//   - The topology has at most maxEdges edges, even if every Service selects every Pod.
//   - The edges count toward the memory limit of the user.
//   - The comparison of Services with Pods stops at the end of the request.
func TestManyEdges(t *testing.T) {
	const count = 400
	var all []object
	for i := range count {
		pod, service := object{plural: pods}, object{plural: services}
		pod.Metadata.Name, pod.Metadata.UID = fmt.Sprintf("p%d", i), fmt.Sprintf("uid-p%d", i)
		pod.Metadata.Labels = map[string]string{"app": "web"}
		service.Metadata.Name, service.Metadata.UID = fmt.Sprintf("s%d", i), fmt.Sprintf("uid-s%d", i)
		service.Spec.Selector = serviceSelector{"app": "web"}
		all = append(all, pod, service)
	}
	got, complete, err := draw(t.Context(), all)
	if err != nil || complete || len(got.Edges) != maxEdges || len(got.Nodes) != 2*count {
		t.Errorf("%d nodes, %d edges, complete: %t, %v", len(got.Nodes), len(got.Edges), complete, err)
	}
	account := budget.New(2<<20).Account("reader", 0)
	defer account.Close()
	_, _, err = draw(budget.WithAccount(t.Context(), account), all)
	if !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("edges beyond the budget: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range all { // no object matches
		all[i].Metadata.Labels = nil
	}
	if _, _, err := draw(ended, all); err == nil {
		t.Error("pairs are compared after the end of the request")
	}
}

// TestManyPairs verifies that the comparisons of Services with Pods are bounded.
func TestManyPairs(t *testing.T) {
	const count = 3_200 // its square exceeds the bound
	all := make([]object, 2*count)
	for i := range count {
		all[i].plural, all[count+i].plural = pods, services
	}
	if got, complete, err := draw(t.Context(), all); err != nil || complete || len(got.Nodes) != len(all) {
		t.Errorf("%d nodes, complete: %t, %v", len(got.Nodes), complete, err)
	}
}

// TestRepeatedOwners verifies that repeated references to an owner result in one edge.
func TestRepeatedOwners(t *testing.T) {
	var pod object
	body := `{"metadata":{"name":"p","uid":"1","ownerReferences":[{"uid":"1"}` +
		strings.Repeat(`,{"uid":"1"}`, 50_000) + `]}}`
	if err := json.Unmarshal([]byte(body), &pod); err != nil {
		t.Fatal(err)
	}
	account := budget.New(1<<20).Account("reader", 0)
	defer account.Close()
	got, complete, err := draw(budget.WithAccount(t.Context(), account), []object{pod})
	if err != nil || !complete || len(got.Edges) != 1 {
		t.Errorf("%d edges, complete: %t, %v", len(got.Edges), complete, err)
	}
}
