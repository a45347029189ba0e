// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
)

func TestStages(t *testing.T) {
	const rbac = "rbac.authorization.k8s.io"
	last := -1
	for _, kind := range []schema.GroupKind{
		{Kind: "Namespace"},
		{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"},
		{Group: "scheduling.k8s.io", Kind: "PriorityClass"},
		{Kind: "ServiceAccount"},
		{Group: rbac, Kind: "RoleBinding"},
		{Kind: "Service"},
		{Group: "apps", Kind: "Deployment"},
		{Group: "networking.k8s.io", Kind: "Ingress"},
		{Group: "example.com", Kind: "Deployment"},
		{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"},
	} {
		stage := stageOf(kind)
		if stage <= last {
			t.Errorf("%s is in stage %d, after one of stage %d", kind, stage, last)
		}
		last = stage
	}
	if got := stageOf(schema.GroupKind{Group: "apiextensions.k8s.io",
		Kind: "CustomResourceDefinition"}); got != stageOfDefinitions {
		t.Errorf("definitions are in stage %d", got)
	}
}

func TestDefinedKinds(t *testing.T) {
	define := func(group, plural, version string, served bool) map[string]any {
		return map[string]any{"kind": "CustomResourceDefinition", "spec": map[string]any{
			"group": group, "scope": "Namespaced", "names": map[string]any{"kind": "Cup", "plural": plural},
			"versions": []any{map[string]any{"name": version, "served": served}},
		}}
	}
	got := definedKinds([]map[string]any{
		define("example.com", "cups", "v1", true), define("example.com", "cups", "v2", false),
		define("", "secrets", "v1", true),
		define("example.com", "cups/../../secrets", "v3", true), define("example.com", "cups", "v4/../x", true),
		define("a/b", "cups", "v1", true),
		{"kind": "CustomResourceDefinition", "spec": "text"}, {"kind": "ConfigMap"},
	})
	found, ok := got[schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Cup"}]
	if len(got) != 1 || !ok || found.GroupVersionResource.Resource != "cups" || !found.Namespaced {
		t.Errorf("got %v", got)
	}
}

func TestWhatMustWait(t *testing.T) {
	object := func(kind schema.GroupKind, namespace, name string, there bool) *applied {
		a := &applied{kind: kind, result: dashboardv1alpha1.ApplyResult{Name: name, Namespace: namespace}}
		if there {
			a.current = []byte("{}")
		}
		return a
	}
	role := schema.GroupKind{Group: "rbac.authorization.k8s.io", Kind: "Role"}
	binding := schema.GroupKind{Group: role.Group, Kind: "RoleBinding"}
	b := &bundle{items: []*applied{
		object(schema.GroupKind{Kind: "Namespace"}, "", "new", false),
		object(schema.GroupKind{Kind: "Namespace"}, "", "old", true),
		object(role, "old", "r", false),
		object(schema.GroupKind{Kind: "ServiceAccount"}, "old", "s", true),
	}}
	d := b.dependencies()
	for name, tc := range map[string]struct {
		a                   *applied
		mustDefer, mayDefer bool
	}{
		"in a new namespace":       {object(schema.GroupKind{Kind: "ConfigMap"}, "new", "c", false), true, false},
		"in an old one":            {object(schema.GroupKind{Kind: "ConfigMap"}, "old", "c", false), false, false},
		"a binding":                {object(binding, "old", "b", false), false, true},
		"a Pod of an old account":  {object(schema.GroupKind{Kind: "Pod"}, "old", "p", false), false, false},
		"a kind that is installed": {&applied{needsDefinition: true}, true, false},
	} {
		if d.mustDefer(tc.a) != tc.mustDefer || d.mayDefer(tc.a) != tc.mayDefer {
			t.Errorf("%s: %v, %v", name, d.mustDefer(tc.a), d.mayDefer(tc.a))
		}
	}
}
