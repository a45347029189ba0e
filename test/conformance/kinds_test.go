// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// discoveryTimeout bounds the time until the server uses a changed CustomResourceDefinition. The server needs up to
// two seconds after kube-apiserver has applied the change.
const discoveryTimeout = 5 * time.Second

type kind struct {
	name, scope string
	versions    []any
}

// TestKindsOfNow verifies that a resource name always refers to the kind that the cluster currently serves. The test
// changes the versions, the kind and the scope in the CustomResourceDefinition.
func TestKindsOfNow(t *testing.T) {
	s, direct := target.set(), target.direct(t)
	s.HostCluster(t, target.Host)
	u, namespace := s.User(t, "conformance-kinds"), s.Namespace(t, "conformance-kinds")
	plural := fixture.Name("conformance-kettles")
	s.Bind(t, "conformance-kinds", fixture.Grant{
		Role: "admin", Subjects: fixture.KubeVisionUsers(u), Cluster: target.Host,
	})
	token := u.Login(t, direct, wire.DirectPath).AccessToken
	path := "/clusters/" + target.Host + "/resources/" + plural
	is := func(what string, code int, text string) {
		t.Helper()
		direct := wire.Request{Path: wire.DirectPath + path, Bearer: token}
		through := wire.Request{Path: wire.GroupPath + path, Token: token}
		awaitResponse(t, what, target.direct(t), direct, code, text)
		awaitResponse(t, what, target.as(t, fixture.Name("conformance-kube-kinds")), through, code, text)
	}
	kettle := kind{"Kettle", "Namespaced", []any{served("v1beta1", true, true), served("v1", true, false)}}
	d := kettle.define(t, s, plural)
	s.Create(t, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": plural + ".example.com/v1beta1", "kind": "Kettle",
		"metadata": map[string]any{"name": "green", "namespace": namespace},
	}})
	is("a new kind", wire.OK, `.example.com/v1"`)

	setVersions(t, s, d, served("v1beta1", true, true), served("v1", false, false))
	is("a version that is not served any more", wire.OK, `.example.com/v1beta1"`)
	setVersions(t, s, d, served("v1beta1", true, true), served("v2", true, false))
	is("a newer version", wire.OK, `.example.com/v2"`)

	s.Delete(t, d)
	s.Gone(t, d)
	is("a kind that is gone", wire.NotFound, "")
	pot := kind{"Pot", "Cluster", []any{served("v1", true, true)}}
	pot.define(t, s, plural)
	s.Create(t, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": plural + ".example.com/v1", "kind": "Pot", "metadata": map[string]any{"name": "blue"},
	}})
	is("another kind", wire.OK, `"kind":"Pot"`)
	path = "/clusters/" + target.Host + "/namespaces/" + namespace + "/resources/" + plural
	is("another scope", wire.Invalid, "")
}

func served(name string, served, storage bool) map[string]any {
	return map[string]any{
		"name": name, "served": served, "storage": storage,
		"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}},
	}
}

// define creates the CustomResourceDefinition, and waits until kube-apiserver serves it.
func (k kind) define(t *testing.T, s fixture.Set, plural string) *unstructured.Unstructured {
	t.Helper()
	d := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + "." + plural + ".example.com"},
		"spec": map[string]any{
			"group": plural + ".example.com", "scope": k.scope, "versions": k.versions,
			"names": map[string]any{
				"plural": plural, "kind": k.name, "singular": strings.ToLower(k.name), "listKind": k.name + "List",
			},
		},
	}}
	s.Create(t, d)
	fixture.Eventually(t, "wait until the kind is served", func(ctx context.Context) error {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(plural + ".example.com/v1")
		list.SetKind(k.name + "List")
		return s.Client.List(ctx, list)
	})
	return d
}

func setVersions(t *testing.T, s fixture.Set, d *unstructured.Unstructured, versions ...any) {
	t.Helper()
	fixture.Eventually(t, "change the CustomResourceDefinition", func(ctx context.Context) error {
		if err := s.Client.Get(ctx, client.ObjectKeyFromObject(d), d); err != nil {
			return err
		}
		if err := unstructured.SetNestedSlice(d.Object, versions, "spec", "versions"); err != nil {
			return err
		}
		return s.Client.Update(ctx, d)
	})
}

// awaitResponse repeats a request until the response has the given code and contains the given text.
func awaitResponse(t *testing.T, what string, c *wire.Client, r wire.Request, code int, text string) {
	t.Helper()
	var last wire.Envelope
	if err := localcluster.Poll(t.Context(), discoveryTimeout, "ask for "+what, func(ctx context.Context) error {
		response, err := c.Do(ctx, r)
		if err != nil {
			return err
		}
		if last, err = response.Parse(); err != nil {
			return err
		}
		if last.Code != code || !strings.Contains(string(last.Raw), text) {
			return fmt.Errorf("%d: %.300s", last.Code, last.Raw)
		}
		return nil
	}); err != nil {
		t.Fatalf("%s: %v; the last answer was %.300s", what, err, last.Raw)
	}
}
