// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package actions

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type outcome struct {
	Resource, Kind, Name, Namespace *string
	Success                         *bool
	Code                            *int
	Error                           string
}

func (o outcome) want(t *testing.T, name string, code int) {
	t.Helper()
	if o.Success == nil || o.Code == nil || o.Name == nil || o.Namespace == nil {
		t.Fatalf("the result is incomplete: %+v", o)
	}
	if *o.Name != name || *o.Code != code || *o.Success != (code == wire.OK) || (o.Error == "") != (code == wire.OK) {
		t.Errorf("%s: success %v, code %d (%s), want %s with code %d", *o.Name, *o.Success, *o.Code, o.Error,
			name, code)
	}
}

func TestBatchDelete(t *testing.T) {
	mine, others := set().Namespace(t, "batch"), set().Namespace(t, "batch-others")
	dev := newActor(t, "dev", mine)
	config := func(ns, name string) *corev1.ConfigMap {
		c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
		set().Create(t, c)
		return c
	}
	a, b, foreign := config(mine, "a"), config(mine, "b"), config(others, "foreign")
	exists := func(o client.Object) bool {
		t.Helper()
		err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o)
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		return err == nil
	}
	item := func(resource, ns, name string) string {
		return fmt.Sprintf(`{"resource":%q,"namespace":%q,"name":%q}`, resource, ns, name)
	}
	good := item("configmaps", mine, "a")
	for name, tc := range map[string]struct {
		body  string
		code  int
		field string
	}{
		"no body":              {``, wire.Required, "body"},
		"nothing":              {`[]`, wire.Required, "body"},
		"null":                 {`null`, wire.Required, "body"},
		"an object":            {good, wire.Invalid, "body"},
		"an item without name": {`[` + good + `,` + item("configmaps", mine, "") + `]`, wire.Required, "[1].name"},
		"one without kind":     {`[` + good + `,` + item("", mine, "b") + `]`, wire.Required, "[1].resource"},
		"a way out": {`[` + good + `,` + item("configmaps", mine, "../secrets/x") + `]`, wire.Invalid,
			"[1].name"},
		"a kind of slashes": {`[` + item("configmaps/x", mine, "a") + `,` + good + `]`, wire.Invalid, "[0].resource"},
		"a bad namespace": {`[` + good + `,` + item("configmaps", "No_Name", "b") + `]`, wire.Invalid,
			"[1].namespace"},
		"no namespace":       {`[` + good + `,` + item("configmaps", "", "b") + `]`, wire.Invalid, "[1].namespace"},
		"too much namespace": {`[` + good + `,` + item("nodes", mine, "b") + `]`, wire.Invalid, "[1].namespace"},
		"too many":           {`[` + strings.Repeat(good+",", 100) + good + `]`, wire.Invalid, "body"},
		"another field": {`[{"resource":"configmaps","namespace":"x","name":"a","force":true}]`, wire.Invalid,
			"[0].force"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, dev.post(t, "/resources/batch-delete", tc.body), tc.code, tc.field)
			if !exists(a) {
				t.Fatal("the good item was deleted")
			}
		})
	}

	e := dev.post(t, "/resources/batch-delete", `[`+strings.Join([]string{
		good, item("configmaps", mine, "none"), item("configmaps", others, "foreign"), item("nothings", mine, "x"),
		item("configmaps", mine, "*"), item("nodes", "", "any"), item("configmaps", mine, "b"),
	}, ",")+`]`).Want(t, wire.OK)
	var out []outcome
	e.Into(t, &out)
	if len(out) != 7 || e.Meta.Total == nil || *e.Meta.Total != 7 || out[0].Resource == nil ||
		*out[0].Resource != "configmaps" {
		t.Fatalf("%s", e.Raw)
	}
	for i, want := range []struct {
		name string
		code int
	}{
		{"a", wire.OK},
		{"none", wire.NotFound},
		{"foreign", wire.NamespaceForbidden},
		{"x", wire.NotFound},
		{"*", wire.NotFound},
		{"any", wire.Forbidden},
		{"b", wire.OK},
	} {
		out[i].want(t, want.name, want.code)
	}
	if exists(a) || exists(b) || !exists(foreign) {
		t.Errorf("a %v, b %v, foreign %v", exists(a), exists(b), exists(foreign))
	}
}

func TestBatchRestart(t *testing.T) {
	ns := set().Namespace(t, "batch-restart")
	dev := newActor(t, "dev", ns)
	web, p := deployment(t, ns, "web", 0), deployment(t, ns, "paused", 0)
	update(t, p, `{"spec":{"paused":true}}`)
	set().Pod(t, ns, "alone")
	item := func(kind, name string) string {
		return fmt.Sprintf(`{"kind":%q,"name":%q,"namespace":%q}`, kind, name, ns)
	}
	refused(t, dev.post(t, "/batch-restart", `[`+item("deployments", "web")+`,`+item("configmaps", "x")+`]`),
		wire.Invalid, "[1].kind")
	refused(t, dev.post(t, "/batch-restart", `[`+item("", "web")+`]`), wire.Required, "[0].kind")
	if _, ok := read(t, web).Spec.Template.Annotations[restartedAt]; ok {
		t.Error("it was restarted although another item is malformed")
	}
	e := dev.post(t, "/batch-restart", `[`+strings.Join([]string{
		item("statefulsets", "none"), item("deployments", "web"), item("deployments", "paused"), item("pods", "alone"),
	}, ",")+`]`).Want(t, wire.OK)
	var out []outcome
	e.Into(t, &out)
	if len(out) != 4 || out[1].Kind == nil || *out[1].Kind != "deployments" {
		t.Fatalf("%s", e.Raw)
	}
	out[0].want(t, "none", wire.NotFound)
	out[1].want(t, "web", wire.OK)
	out[2].want(t, "paused", wire.Conflict)
	out[3].want(t, "alone", wire.OK)
	if _, ok := read(t, web).Spec.Template.Annotations[restartedAt]; !ok {
		t.Error("it was not restarted")
	}
	if got := e.Meta.Warnings; len(got) != 1 || !strings.Contains(got[0], "alone") {
		t.Errorf("warnings %q", got)
	}
}
