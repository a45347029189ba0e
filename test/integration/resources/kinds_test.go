// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// crdTimeout is the time within which KubeVision must use a changed CustomResourceDefinition. KubeVision may take two
// seconds. The rest is a margin for kube-apiserver and for slow machines.
const crdTimeout = 5 * time.Second

type definition struct {
	plural, group string
	object        *unstructured.Unstructured
}

func version(name string, served, storage bool) object {
	return object{
		"name": name, "served": served, "storage": storage, "schema": object{"openAPIV3Schema": object{
			"type": "object", "x-kubernetes-preserve-unknown-fields": true,
		}},
	}
}

func newDefinition(plural, kind, scope string, versions ...any) *definition {
	group := plural + ".example.com"
	return &definition{plural, group, &unstructured.Unstructured{Object: object{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": object{"name": plural + "." + group},
		"spec": object{
			"group": group, "scope": scope,
			"names": object{"plural": plural, "kind": kind, "singular": strings.ToLower(kind),
				"listKind": kind + "List"},
			"versions": versions,
		},
	}}}
}

func (d *definition) setVersions(t *testing.T, versions ...any) {
	t.Helper()
	fixture.Eventually(t, "change the CustomResourceDefinition", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(d.object), d.object); err != nil {
			return err
		}
		part(t, d.object.Object, "spec")["versions"] = versions
		return env.Client.Update(ctx, d.object)
	})
}

// becomes waits until the response to a GET request has the given code and contains the given text.
func (p person) becomes(t *testing.T, path string, code int, holds string) {
	t.Helper()
	var last wire.Envelope
	if err := localcluster.Poll(t.Context(), crdTimeout, "wait for "+path, func(ctx context.Context) error {
		response, err := p.client.Do(ctx, wire.Request{
			Path: wire.DirectPath + "/clusters/" + host + path, Bearer: p.AccessToken,
		})
		if err != nil {
			return err
		}
		if last, err = response.Parse(); err != nil {
			return err
		}
		if last.Code != code || !strings.Contains(string(last.Raw), holds) {
			return fmt.Errorf("%d: %s", last.Code, last.Raw)
		}
		return nil
	}); err != nil {
		t.Fatalf("%v; the last answer was %s", err, last.Raw)
	}
}

// TestAKindThatChanges verifies that a changed CustomResourceDefinition takes effect within seconds. The versions, the
// kind and the scope change.
func TestAKindThatChanges(t *testing.T) {
	plural := strings.ReplaceAll(fixture.Name("kettles"), "-", "")
	d := newDefinition(plural, "Kettle", "Namespaced", version("v1beta1", true, true), version("v1", true, false))
	set().Create(t, d.object)
	ns, admin := set().Namespace(t, "kinds"), newPerson(t, "admin")
	body := func(kind, version, name string) string {
		return fmt.Sprintf("apiVersion: %s/%s\nkind: %s\nmetadata: {name: %s}\nspec: {size: 3}\n", d.group, version,
			kind, name)
	}
	admin.becomes(t, in(ns, plural), wire.OK, "[]")
	admin.send(t, http.MethodPost, in(ns, plural), yamlType, body("Kettle", "v1", "a")).Want(t, wire.OK)
	admin.send(t, http.MethodPost, in(ns, plural), yamlType, body("Kettle", "v1beta1", "b")).Want(t, wire.OK)
	admin.becomes(t, in(ns, plural), wire.OK, d.group+`/v1"`)

	// The preferred version is no longer served.
	d.setVersions(t, version("v1beta1", true, true), version("v1", false, false))
	admin.becomes(t, in(ns, plural), wire.OK, d.group+`/v1beta1"`)
	admin.get(t, in(ns, plural, "a")).Want(t, wire.OK)
	admin.send(t, http.MethodPatch, in(ns, plural, "a"), mergeType, `{"spec":{"size":4}}`).Want(t, wire.OK)
	items := fmt.Sprintf(`[{"resource":%q,"namespace":%q,"name":"b"}]`, plural, ns)
	e := admin.send(t, http.MethodPost, "/resources/batch-delete", jsonType, items).Want(t, wire.OK)
	if !strings.Contains(string(e.Data), `"success":true`) {
		t.Errorf("batch-delete: %s", e.Data)
	}

	// A newer version is served.
	d.setVersions(t, version("v1beta1", true, true), version("v1", false, false), version("v2", true, false))
	admin.becomes(t, in(ns, plural), wire.OK, d.group+`/v2"`)
	if !strings.Contains(string(admin.get(t, "/crds").Want(t, wire.OK).Data), `"version":"v2"`) {
		t.Error("the list of custom resources has another version")
	}

	// Another kind with that name is cluster-scoped.
	set().Delete(t, d.object)
	set().Gone(t, d.object)
	d = newDefinition(plural, "Pot", "Cluster", version("v2", true, true))
	set().Create(t, d.object)
	admin.becomes(t, "/resources/"+plural, wire.OK, "[]")
	admin.becomes(t, in(ns, plural), wire.Invalid, "not namespaced")
	admin.send(t, http.MethodPost, "/resources/"+plural, yamlType, body("Pot", "v2", "a")).Want(t, wire.OK)
	admin.becomes(t, "/resources/"+plural+"/a", wire.OK, `"kind":"Pot"`)

	set().Delete(t, d.object)
	admin.becomes(t, "/resources/"+plural, wire.NotFound, "serves no resource")
}

func TestASubresourceThatComesAndGoes(t *testing.T) {
	plural := strings.ReplaceAll(fixture.Name("scales"), "-", "")
	plain, scaled := version("v1", true, true), version("v1", true, true)
	scaled["subresources"] = object{
		"scale": object{"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
	}
	d := newDefinition(plural, "Scaled", "Namespaced", plain)
	set().Create(t, d.object)
	ns, admin := set().Namespace(t, "scales"), newPerson(t, "admin")
	admin.becomes(t, in(ns, plural), wire.OK, "[]")
	admin.send(t, http.MethodPost, in(ns, plural), yamlType,
		"apiVersion: "+d.group+"/v1\nkind: Scaled\nmetadata: {name: a}\nspec: {replicas: 1}\n").Want(t, wire.OK)
	scale := func() wire.Envelope {
		return admin.send(t, http.MethodPut, in(ns, plural, "a")+"/scale", jsonType, `{"replicas":2}`)
	}
	for _, step := range []struct {
		version object
		want    int
		message string
	}{{plain, wire.NotFound, "no scale of"}, {scaled, wire.OK, ""}, {plain, wire.NotFound, "no scale of"}} {
		d.setVersions(t, step.version)
		var last wire.Envelope
		if err := localcluster.Poll(t.Context(), crdTimeout, "wait for the subresource", func(context.Context) error {
			if last = scale(); last.Code != step.want || !strings.Contains(last.Message, step.message) {
				return fmt.Errorf("%d: %s", last.Code, last.Message)
			}
			return nil
		}); err != nil {
			t.Fatalf("%v; the last answer was %s", err, last.Raw)
		}
	}
}

// TestRefreshIsOfNow verifies that POST /crds/refresh returns a custom resource that kube-apiserver has just begun to
// serve.
func TestRefreshIsOfNow(t *testing.T) {
	admin := newPerson(t, "admin")
	for range 3 {
		plural := strings.ReplaceAll(fixture.Name("fresh"), "-", "")
		d := newDefinition(plural, "Fresh", "Namespaced", version("v1", true, true))
		admin.get(t, "/crds").Want(t, wire.OK)
		set().Create(t, d.object)
		fixture.Eventually(t, "wait until kube-apiserver serves the kind", func(ctx context.Context) error {
			text, err := env.Cluster.Kubectl(ctx, "get", "--raw", "/apis/"+d.group+"/v1")
			if err == nil && !strings.Contains(text, plural) {
				err = fmt.Errorf("not yet: %s", text)
			}
			return err
		})
		admin.becomes(t, "/crds", wire.OK, "[")
		e := admin.send(t, http.MethodPost, "/crds/refresh", "", "").Want(t, wire.OK)
		if !strings.Contains(string(e.Data), plural) {
			t.Errorf("after a refresh %s is not among the custom resources", plural)
		}
	}
}

// TestAPluralThatKubeVisionUsesToo verifies that "users" in a request refers to the custom resource "users" of another
// product, and not to the users of KubeVision.
func TestAPluralThatKubeVisionUsesToo(t *testing.T) {
	d := newDefinition("users", "User", "Namespaced", version("v1", true, true))
	set().Create(t, d.object)
	ns, admin := set().Namespace(t, "plurals"), newPerson(t, "admin")
	admin.becomes(t, in(ns, "users"), wire.OK, "[]")
	admin.send(t, http.MethodPost, in(ns, "users"), yamlType,
		"apiVersion: "+d.group+"/v1\nkind: User\nmetadata: {name: bunny}\n").Want(t, wire.OK)
	admin.becomes(t, in(ns, "users", "bunny"), wire.OK, "bunny")
	admin.becomes(t, "/search?q=bunny&kinds=users", wire.OK, `"kind":"User"`)
	body := fmt.Sprintf(`[{"resource":"users","namespace":%q,"name":"bunny"}]`, ns)
	e := admin.send(t, http.MethodPost, "/resources/batch-delete", jsonType, body).Want(t, wire.OK)
	if !strings.Contains(string(e.Data), `"success":true`) {
		t.Errorf("batch-delete: %s", e.Data)
	}
	admin.becomes(t, in(ns, "users", "bunny"), wire.NotFound, "")
	admin.get(t, "/resources/kubevisiondashboards").Want(t, wire.NotFound)
	text := string(admin.get(t, "/api-resources").Want(t, wire.OK).Data)
	if strings.Contains(text, "kubevisiondashboards") {
		t.Error("the resources include one without verbs")
	}
}

// TestAConversionThatFails verifies that KubeVision returns the error of kube-apiserver if the conversion webhook of a
// CustomResourceDefinition fails. The response to a search contains this error, too.
func TestAConversionThatFails(t *testing.T) {
	plural := strings.ReplaceAll(fixture.Name("converted"), "-", "")
	d := newDefinition(plural, "Converted", "Namespaced", version("v1", true, true), version("v1beta1", true, false))
	part(t, d.object.Object, "spec")["conversion"] = object{"strategy": "Webhook", "webhook": object{
		"conversionReviewVersions": []any{"v1"}, "clientConfig": object{"url": "https://127.0.0.1:1/convert"},
	}}
	set().Create(t, d.object)
	ns, admin := set().Namespace(t, "converted"), newPerson(t, "admin")
	old := plural + ".v1beta1." + d.group
	admin.becomes(t, in(ns, old), wire.OK, "[]")
	admin.send(t, http.MethodPost, in(ns, plural), yamlType,
		"apiVersion: "+d.group+"/v1\nkind: Converted\nmetadata: {name: a}\n").Want(t, wire.OK)
	for _, path := range []string{in(ns, old), in(ns, old, "a")} {
		if e := admin.get(t, path).Want(t, wire.Unreachable); !strings.Contains(e.Message, "conversion webhook") {
			t.Errorf("GET %s says %q", path, e.Message)
		}
	}
	search := wire.Request{Path: wire.DirectPath + "/search?q=a&kinds=configmaps," + old, Bearer: admin.AccessToken}
	if e := admin.client.Call(t, search).Want(t, wire.OK); !strings.Contains(string(e.Raw), "conversion webhook") {
		t.Errorf("a search says %s", e.Raw)
	}
}
