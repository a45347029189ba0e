// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"encoding/json"
	"strings"
	"testing"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
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
	got := draw(all)
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
	if empty, err := json.Marshal(draw(nil)); err != nil || string(empty) != `{"nodes":[],"edges":[]}` {
		t.Errorf("of nothing: %s, %v", empty, err)
	}
}
