// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: main, image: "nginx:1"}
`

func TestLifecycle(t *testing.T) {
	ns := set().Namespace(t, "lifecycle")
	dev := newPerson(t, "dev", ns)
	web := in(ns, "deployments", "web")

	created := decoded(t, dev.send(t, http.MethodPost, in(ns, "deployments"), yamlType, deployment))
	if at(created, "metadata", "managedFields") != nil || at(created, "kind") != "Deployment" ||
		at(created, "metadata", "namespace") != ns {
		t.Errorf("created %v", created)
	}
	dev.send(t, http.MethodPost, in(ns, "deployments"), yamlType, deployment).Want(t, wire.Conflict)

	read := object{}
	fixture.Eventually(t, "replace it", func(context.Context) error { // a controller writes the status concurrently
		read = decoded(t, dev.get(t, web))
		part(t, read, "spec")["replicas"] = 3.0
		if e := dev.send(t, http.MethodPut, web, jsonType, encoded(t, read)); e.Code != wire.OK {
			return errors.New(e.Message)
		}
		return nil
	})
	if replaced := decoded(t, dev.get(t, web)); at(replaced, "spec", "replicas") != 3.0 {
		t.Errorf("replaced %v", replaced)
	}
	if e := dev.send(t, http.MethodPut, web, jsonType,
		encoded(t, read)).Want(t, wire.Stale); !strings.Contains(e.Message, "modified") {
		t.Errorf("the message is %q", e.Message)
	}
	delete(part(t, read, "metadata"), "resourceVersion")
	if e := dev.send(t, http.MethodPut, web, jsonType,
		encoded(t, read)).Want(t, wire.Required); e.Meta.Field != "metadata.resourceVersion" {
		t.Errorf("the field is %q", e.Meta.Field)
	}

	for contentType, patch := range map[string]string{
		mergeType:     `{"metadata":{"labels":{"merge":"1"}}}`,
		strategicType: `{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"busybox:1"}]}}}}`,
		jsonPatchType: `[{"op":"add","path":"/metadata/annotations/x","value":"1"}]`,
		applyType:     "apiVersion: apps/v1\nkind: Deployment\nmetadata: {labels: {applied: \"1\"}}\n",
	} {
		dev.send(t, http.MethodPatch, web, contentType, patch).Want(t, wire.OK)
	}
	patched := decoded(t, dev.get(t, web))
	if at(patched, "metadata", "labels", "merge") != "1" || at(patched, "metadata", "labels", "applied") != "1" ||
		at(patched, "metadata", "annotations", "x") != "1" ||
		strings.Count(encoded(t, at(patched, "spec")), `"image"`) != 2 {
		t.Errorf("patched %v", patched)
	}

	if e := dev.send(t, http.MethodDelete, web, "", "").Want(t, wire.OK); string(e.Data) != "null" {
		t.Errorf("a deletion answers %s", e.Data)
	}
	dev.get(t, web).Want(t, wire.NotFound)
	dev.send(t, http.MethodDelete, web, "", "").Want(t, wire.NotFound)
}

// TestManyWriters verifies that one of several concurrent writers succeeds, and that the others get a conflict.
func TestManyWriters(t *testing.T) {
	const writers = 10
	ns := set().Namespace(t, "writers")
	dev := newPerson(t, "dev", ns)
	dev.send(t, http.MethodPost, in(ns, "configmaps"), yamlType,
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\n").Want(t, wire.OK)
	read := decoded(t, dev.get(t, in(ns, "configmaps", "shared")))
	outcomes := make(chan int, writers)
	for i := range writers {
		read["data"] = object{"writer": strconv.Itoa(i)}
		r := wire.Request{
			Method: http.MethodPut, Path: wire.DirectPath + "/clusters/" + host + in(ns, "configmaps", "shared"),
			Bearer: dev.AccessToken,
			Body:   encoded(t, read), Header: http.Header{"Content-Type": {jsonType}},
		}
		go func() {
			code := -1
			if response, err := dev.client.Do(t.Context(), r); err == nil {
				if e, err := response.Parse(); err == nil {
					code = e.Code
				}
			}
			outcomes <- code
		}()
	}
	codes := map[int]int{}
	for range writers {
		codes[<-outcomes]++
	}
	if codes[wire.OK] != 1 || codes[wire.Stale] != writers-1 {
		t.Errorf("the codes and how often each came: %v", codes)
	}
}

// TestApplyConflict verifies that the error of a conflict names the other field manager and the fields, and that force
// overrides the conflict.
func TestApplyConflict(t *testing.T) {
	ns := set().Namespace(t, "apply")
	dev := newPerson(t, "dev", ns)
	config := in(ns, "configmaps", "shared")
	dev.send(t, http.MethodPost, in(ns, "configmaps"), jsonType,
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"shared"},"data":{"k":"theirs"}}`).Want(t, wire.OK)
	mine := "apiVersion: v1\nkind: ConfigMap\ndata: {k: mine}\n"
	// The object was created by the same field manager, with a different operation.
	e := dev.send(t, http.MethodPatch, config, applyType, mine).Want(t, wire.Stale)
	if !strings.Contains(e.Message, ".data.k") || !strings.Contains(e.Message, "kubevision") {
		t.Errorf("the message is %q", e.Message)
	}
	if got := at(decoded(t, dev.get(t, config)), "data", "k"); got != "theirs" {
		t.Errorf("the value is %v", got)
	}
	dev.send(t, http.MethodPatch, config+"?force=maybe", applyType, mine).Want(t, wire.Invalid)
	dev.send(t, http.MethodPatch, config+"?force=true", mergeType, `{"data":{"k":"x"}}`).Want(t, wire.Invalid)
	if got := at(decoded(t, dev.send(t, http.MethodPatch, config+"?force=true", applyType, mine)), "data",
		"k"); got != "mine" {
		t.Errorf("the value is %v", got)
	}
	// Apply creates a missing object.
	other := "apiVersion: v1\nkind: ConfigMap\ndata: {k: new}\n"
	if got := at(decoded(t, dev.send(t, http.MethodPatch, in(ns, "configmaps", "new"), applyType, other)), "metadata",
		"name"); got != "new" {
		t.Errorf("the name is %v", got)
	}
}

// TestDeletion verifies the propagation policy of a deletion. There is no garbage collector in this test, and the
// finalizers show the policy.
func TestDeletion(t *testing.T) {
	ns := set().Namespace(t, "deletion")
	dev := newPerson(t, "dev", ns)
	for policy, finalizer := range map[string]string{"": "", "Background": "", "Foreground": "foregroundDeletion",
		"Orphan": "orphan"} {
		name := "job" + strings.ToLower(policy)
		dev.send(t, http.MethodPost, in(ns, "jobs"), yamlType,
			"apiVersion: batch/v1\nkind: Job\nmetadata: {name: "+name+"}\n"+
				"spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}\n").Want(t,
			wire.OK)
		query := ""
		if policy != "" {
			query = "?propagationPolicy=" + policy
		}
		e := dev.send(t, http.MethodDelete, in(ns, "jobs", name)+query, "", "").Want(t, wire.OK)
		if got := strings.Contains(string(e.Data), `"finalizers":["`+finalizer+`"]`); got != (finalizer != "") {
			t.Errorf("%q: %s", policy, e.Data)
		}
	}
	pods := in(ns, "pods", "none")
	for query, field := range map[string]string{
		"propagationPolicy=background": "propagationPolicy", "gracePeriodSeconds=-1": "gracePeriodSeconds",
		"gracePeriodSeconds=x":  "gracePeriodSeconds",
		"dryRun=some":           "dryRun",
		"orphanDependents=true": "orphanDependents", "resourceVersion=1": "resourceVersion",
	} {
		if e := dev.send(t, http.MethodDelete, pods+"?"+query, "", "").Want(t, wire.Invalid); e.Meta.Field != field {
			t.Errorf("%s: the field is %q", query, e.Meta.Field)
		}
	}
	kept := in(ns, "configmaps", "kept")
	dev.send(t, http.MethodPost, in(ns, "configmaps"), yamlType,
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept}\n").Want(t, wire.OK)
	for body, field := range map[string]string{
		`{"propagationPolicy":"Orphan"}`:             "propagationPolicy",
		`{"preconditions":{"uid":"another"}}`:        "preconditions",
		`{"totpCode":"123456","dryRun":["All"]}`:     "dryRun",
		`{"kind":"DeleteOptions","apiVersion":"v1"}`: "kind",
		`not JSON`: "body",
	} {
		if e := dev.send(t, http.MethodDelete, kept, jsonType, body).Want(t, wire.Invalid); e.Meta.Field != field {
			t.Errorf("%s: the field is %q", body, e.Meta.Field)
		}
	}
	dev.get(t, kept).Want(t, wire.OK)
	dev.send(t, http.MethodDelete, kept, jsonType, "{}").Want(t, wire.OK)
}

// TestWhereAManifestMayGo verifies that a body that contradicts the URL is rejected, and that the body may contain the
// values that the URL omits.
func TestWhereAManifestMayGo(t *testing.T) {
	ns := set().Namespace(t, "conform")
	dev := newPerson(t, "dev", ns)
	config := func(change func(object)) string {
		o := object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object{"name": "a"}}
		change(o)
		return encoded(t, o)
	}
	meta := func(field string, value any) string {
		return config(func(o object) { part(t, o, "metadata")[field] = value })
	}
	for name, tc := range map[string]struct {
		code             int
		field, url, body string
	}{
		"another kind": {wire.Invalid, "kind", in(ns, "configmaps"),
			config(func(o object) { o["kind"] = "Secret" })},
		"another version": {wire.Invalid, "apiVersion", in(ns, "configmaps"),
			config(func(o object) { o["apiVersion"] = "v2" })},
		"another group": {wire.Invalid, "apiVersion", in(ns, "deployments.apps"),
			config(func(o object) { o["apiVersion"] = "example.com/v1" })},
		"no version": {wire.Required, "apiVersion", in(ns, "configmaps"),
			config(func(o object) { delete(o, "apiVersion") })},
		"no kind": {wire.Required, "kind", in(ns, "configmaps"),
			config(func(o object) { delete(o, "kind") })},
		"no name": {wire.Required, "metadata.name", in(ns, "configmaps"),
			config(func(o object) { delete(o, "metadata") })},
		"a number as a name": {wire.Invalid, "metadata.name", in(ns, "configmaps"), meta("name", 1)},
		"a list as metadata": {wire.Invalid, "metadata", in(ns, "configmaps"),
			config(func(o object) { o["metadata"] = []any{} })},
		"another namespace": {wire.Invalid, "metadata.namespace", in(ns, "configmaps"),
			meta("namespace", "default")},
		"no namespace": {wire.Invalid, "namespace", "/resources/configmaps", config(func(object) {})},
		"a namespace too many": {wire.Invalid, "metadata.namespace", "/resources/nodes",
			`{"apiVersion":"v1","kind":"Node","metadata":{"name":"n","namespace":"x"}}`},
		"a bad namespace": {wire.Invalid, "metadata.namespace", "/resources/configmaps", meta("namespace", "../x")},
		"an unknown field": {wire.Invalid, "spec", in(ns, "configmaps"),
			config(func(o object) { o["spec"] = object{} })},
		"a bad name": {wire.Rejected, "", in(ns, "configmaps"), meta("name", "No_Name")},
		"text":       {42200, "", in(ns, "configmaps"), `{"apiVersion":`},
	} {
		t.Run(name, func(t *testing.T) {
			if e := dev.send(t, http.MethodPost, tc.url, jsonType, tc.body).Want(t, tc.code); e.Meta.Field != tc.field {
				t.Errorf("the field is %q (%s), want %q", e.Meta.Field, e.Message, tc.field)
			}
		})
	}
	for name, tc := range map[string]struct{ url, body string }{
		"the namespace of the body": {"/resources/configmaps",
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b","namespace":"` + ns + `"}}`},
		"the namespace of a query": {"/resources/configmaps?namespace=" + ns,
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"}}`},
		"a generated name": {in(ns, "configmaps"),
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"d-"}}`},
		"in a manifest": {in(ns, "configmaps"),
			`{"manifest":"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: e}\n"}`},
		"another version than the preferred one": {in(ns, "horizontalpodautoscalers"),
			`{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler",` +
				`"metadata":{"name":"f"},"spec":{"maxReplicas":2,"scaleTargetRef":{"kind":"Deployment","name":"x",` +
				`"apiVersion":"apps/v1"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			o := decoded(t, dev.send(t, http.MethodPost, tc.url, jsonType, tc.body))
			if at(o, "metadata", "namespace") != ns {
				t.Errorf("it is in %v", at(o, "metadata", "namespace"))
			}
		})
	}
}

// TestPatchesAreChecked verifies the error codes of invalid patches and of patches without permission. KubeVision
// rejects some invalid patches itself, and kube-apiserver rejects the others.
func TestPatchesAreChecked(t *testing.T) {
	ns := set().Namespace(t, "patches")
	dev, viewer := newPerson(t, "dev", ns), newPerson(t, "readonly", ns)
	config := in(ns, "configmaps", "a")
	dev.send(t, http.MethodPost, in(ns, "configmaps"), jsonType,
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`).Want(t, wire.OK)
	for name, tc := range map[string]struct {
		code              int
		contentType, body string
	}{
		"no media type":           {wire.Invalid, jsonType, `{}`},
		"nothing":                 {wire.Required, mergeType, ""},
		"not JSON":                {wire.Invalid, mergeType, `{`},
		"null":                    {wire.Invalid, mergeType, `null`},
		"a list":                  {wire.Invalid, mergeType, `[]`},
		"an object as operations": {wire.Invalid, jsonPatchType, `{}`},
		"no operation":            {wire.Required, jsonPatchType, `[{"path":"/a"}]`},
		"no path":                 {wire.Required, jsonPatchType, `[{"op":"remove"}]`},
		"an unknown operation":    {wire.Invalid, jsonPatchType, `[{"op":"steal","path":"/a"}]`},
		"a field nobody knows":    {wire.Invalid, jsonPatchType, `[{"op":"remove","path":"/a","force":true}]`},
		"a missing path":          {wire.Rejected, jsonPatchType, `[{"op":"remove","path":"/data/none"}]`},
		"another name":            {wire.Invalid, mergeType, `{"metadata":{"name":"b"}}`},
		"another kind":            {wire.Invalid, mergeType, `{"kind":"Secret"}`},
		"an unknown field":        {wire.Invalid, mergeType, `{"spec":{}}`},
		"a bad label":             {wire.Rejected, mergeType, `{"metadata":{"labels":{"a b":"c"}}}`},
		"apply: not YAML":         {42200, applyType, "a: ["},
		"apply: two":              {42200, applyType, "kind: ConfigMap\n---\nkind: ConfigMap\n"},
		"apply: another name":     {wire.Invalid, applyType, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"},
		"stale":                   {wire.Stale, mergeType, `{"metadata":{"resourceVersion":"1"},"data":{"k":"v"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			dev.send(t, http.MethodPatch, config, tc.contentType, tc.body).Want(t, tc.code)
		})
	}
	for _, contentType := range []string{mergeType, strategicType, applyType} {
		body := `{"apiVersion":"v1","kind":"ConfigMap","data":{"k":"v"}}`
		viewer.send(t, http.MethodPatch, config, contentType, body).Want(t, wire.Forbidden)
		viewer.send(t, http.MethodPatch, in(ns, "configmaps", "new"), contentType, body).Want(t, wire.Forbidden)
		viewer.send(t, http.MethodPatch, in("default", "configmaps", "a"), contentType,
			body).Want(t, wire.NamespaceForbidden)
	}
	if got := at(decoded(t, viewer.get(t, config)), "data"); got != nil {
		t.Errorf("the data are %v", got)
	}
}
