// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// define creates a CustomResourceDefinition with a field "flavor". The field has no default if defaultFlavor is empty.
func define(t *testing.T, plural, defaultFlavor string) *unstructured.Unstructured {
	t.Helper()
	d := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + ".example.com"},
		"spec": map[string]any{
			"group": "example.com", "scope": "Namespaced", "versions": versions(defaultFlavor),
			"names": map[string]any{
				"plural":   plural,
				"kind":     "Kettle",
				"singular": plural[:len(plural)-1],
				"listKind": "KettleList",
			},
		},
	}}
	set().Create(t, d)
	return d
}

func letView(t *testing.T, plural string) {
	t.Helper()
	set().Create(t, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{
			Name:   plural,
			Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"},
		},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"example.com"}, Resources: []string{plural}, Verbs: []string{"get", "list", "watch"}},
		},
	})
}

func versions(defaultFlavor string) []any {
	field := map[string]any{"type": "string"}
	if defaultFlavor != "" {
		field["default"] = defaultFlavor
	}
	return []any{map[string]any{
		"name": "v1", "served": true, "storage": true,
		"schema": map[string]any{"openAPIV3Schema": map[string]any{
			"type": "object", "properties": map[string]any{"flavor": field},
		}},
	}}
}

func kettle(plural, namespace string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Kettle",
		"metadata": map[string]any{"name": "green", "namespace": namespace},
	}}
}

// shows waits until the response for a path comes from the cache and contains a text.
func (p person) shows(t *testing.T, path, text string) {
	t.Helper()
	fixture.Eventually(t, "wait for "+text, func(context.Context) error {
		e := p.get(t, path)
		if e.Code != wire.OK || e.Meta.Source != fromCache || !strings.Contains(string(e.Data), text) {
			return fmt.Errorf("code %d (%s) from %q: %.300s", e.Code, e.Message, e.Meta.Source, e.Data)
		}
		return nil
	})
}

// TestRedefinedKinds verifies that the objects of a kind are returned according to its current
// CustomResourceDefinition, even if the objects have not changed.
func TestRedefinedKinds(t *testing.T) {
	ns, plural := set().Namespace(t, "redefined"), strings.ReplaceAll(fixture.Name("kettles"), "-", "")+"s"
	p := bound(t, "readonly", ns)
	d := define(t, plural, "")
	letView(t, plural)
	fixture.Eventually(
		t,
		"create an object",
		func(ctx context.Context) error { return env.Client.Create(ctx, kettle(plural, ns)) },
	)
	path := in(ns, plural+".example.com")
	p.shows(t, path, "green")
	before := p.client.Send(t, p.request(path+"/green")).Header.Get("ETag")

	fixture.Eventually(t, "change the CustomResourceDefinition", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(d), d); err != nil {
			return err //nolint:wrapcheck // the error contains the request
		}
		d.Object["spec"].(map[string]any)["versions"] = versions("sour") //nolint:forcetypeassert,errcheck // see define
		return env.Client.Update(ctx, d)
	})
	p.shows(t, path, `"flavor":"sour"`)
	p.shows(t, path+"/green", `"flavor":"sour"`)
	if after := p.client.Send(t, p.request(path+"/green")).Header.Get("ETag"); after == before || after == "" {
		t.Errorf("the tag is %s, as before", after)
	}

	set().Delete(t, d)
	set().Gone(t, d)
	fixture.Eventually(t, "wait for the end of the kind", func(context.Context) error {
		if e := p.get(t, path); e.Code != wire.NotFound {
			return fmt.Errorf("code %d from %q: %.300s", e.Code, e.Meta.Source, e.Data)
		}
		return nil
	})
	define(t, plural, "bitter")
	fixture.Eventually(
		t,
		"create an object",
		func(ctx context.Context) error { return env.Client.Create(ctx, kettle(plural, ns)) },
	)
	fixture.Eventually(t, "wait for the new kind", func(context.Context) error {
		if e := p.get(t, path); e.Code != wire.OK || !strings.Contains(string(e.Data), "bitter") ||
			strings.Contains(string(e.Data), `"flavor":"sour"`) {
			return fmt.Errorf("code %d from %q: %.300s", e.Code, e.Meta.Source, e.Data)
		}
		return nil
	})
}

// TestNamespaceMadeAgain verifies that no object of a deleted namespace is returned after a namespace with the same
// name was created.
func TestNamespaceMadeAgain(t *testing.T) {
	ns := set().Namespace(t, "again")
	first, admin := bound(t, "readonly", ns), bound(t, "readonly")
	configMap(t, ns, "of-the-first", nil, "")
	first.shows(t, in(ns, "configmaps"), "of-the-first")
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}
	set().Delete(t, namespace)
	set().Gone(t, namespace)
	set().Create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	second := bound(t, "readonly", ns)
	for _, p := range []person{first, second, admin} {
		fixture.Eventually(t, "wait for an answer about the namespace", func(context.Context) error {
			e := p.get(t, in(ns, "configmaps"))
			if e.Code == wire.OK && slices.Contains(names(t, e), "of-the-first") {
				t.Error("an object of the first namespace is shown")
			}
			if e.Code != wire.OK || e.Meta.Source != fromCache {
				return fmt.Errorf("code %d from %q", e.Code, e.Meta.Source)
			}
			return nil
		})
		p.get(t, in(ns, "configmaps", "of-the-first")).Want(t, wire.NotFound)
	}
}

// TestOddNames verifies that objects whose names are not DNS names are found, and that no other objects are returned.
func TestOddNames(t *testing.T) {
	odd := []string{
		":b",
		":b:c",
		" b",
		"A",
		"a..b",
		"+b",
		"?b",
		"#b",
		"&b=c",
		"ä",
		"\"b",
		"\\b",
		"<a&b>",
		"\u2028",
		"日本",
	} // API servers refuse % and /
	prefix := fixture.Name("odd")
	for i := range odd {
		odd[i] = prefix + odd[i]
		set().Create(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: odd[i]}})
	}
	set().HostCluster(t, host)
	p := bound(t, "admin")
	paths := []string{
		"/resources/clusterroles?q=" + prefix, "/resources/clusterroles?sortBy=name&order=desc&limit=4&q=" + prefix,
	}
	for _, name := range odd {
		paths = append(paths, "/resources/clusterroles/"+url.PathEscape(name),
			"/resources/clusterroles?fieldSelector="+url.QueryEscape("metadata.name="+name))
	}
	for _, path := range paths {
		compare(t, p, path)
	}
}
