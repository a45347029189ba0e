// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package search

import (
	"encoding/json"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

func find(tb testing.TB, text string, bodies ...string) []match {
	tb.Helper()
	all := make([]object, len(bodies))
	for i, body := range bodies {
		if err := json.Unmarshal([]byte(`{"metadata":`+body+`}`), &all[i]); err != nil {
			tb.Fatal(err)
		}
	}
	return matching(all, clusters.Resource{GroupVersionResource: schema.GroupVersionResource{Version: "v1",
		Resource: "pods"}, Kind: "Pod"}, "", text)
}

func TestTheBestMatchesComeFirst(t *testing.T) {
	found := find(t, "web",
		`{"name":"other"}`, `{"name":"a","labels":{"app":"Web"}}`, `{"name":"my-WEB"}`, `{"name":"web-2"}`,
		`{"name":"web-1"}`, `{"name":"web"}`,
		`{"name":"b","annotations":{"web":"web"}}`)
	got := group("pods", found, 4)
	var names []string
	for _, item := range got.Items {
		names = append(names, item.Name)
	}
	if want := []string{"web", "web-1", "web-2", "my-WEB"}; !slices.Equal(names, want) || got.Total != 5 {
		t.Errorf("got %v of %d, want %v of 5", names, got.Total, want)
	}
	if n := len(find(t, "app=web", `{"name":"a","labels":{"app":"web"}}`)); n != 1 {
		t.Errorf("a label with its value is found %d times", n)
	}
}

func TestAKindOfTwoNamesCountsOnce(t *testing.T) {
	one := find(t, "web", `{"name":"web"}`)
	if got := results(query{limit: 1}, withoutRepeats([][]match{one, nil, one})); got.Total != 1 ||
		len(got.Results) != 1 {
		t.Errorf("got %+v", got)
	}
}
