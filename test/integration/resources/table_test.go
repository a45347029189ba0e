// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type column struct {
	Name, Type, Format string
	Priority           int
}

func tableOf(tb testing.TB, e wire.Envelope) (columns []column, rows []object) {
	tb.Helper()
	e.Want(tb, wire.OK).Into(tb, &rows)
	var whole struct{ Meta struct{ Columns []column } }
	if err := json.Unmarshal(e.Raw, &whole); err != nil {
		tb.Fatal(err)
	}
	return whole.Meta.Columns, rows
}

// asKubectl returns a table in the format of kubectl get, with single spaces between words.
func asKubectl(tb testing.TB, e wire.Envelope, wide, namespaces bool) string {
	tb.Helper()
	columns, rows := tableOf(tb, e)
	out := make([]string, len(rows)+1)
	for i, c := range columns {
		if c.Priority > 0 && !wide {
			continue
		}
		out[0] += " " + strings.ToUpper(c.Name)
		for j, row := range rows {
			cells, _ := row["cells"].([]any)
			if len(cells) != len(columns) {
				tb.Fatalf("%d columns, and the cells %v", len(columns), cells)
			}
			if cells[i] == nil {
				cells[i] = ""
			}
			out[j+1] += " " + fmt.Sprint(cells[i])
		}
	}
	for i := range out {
		if namespaces && i == 0 {
			out[i] = " NAMESPACE" + out[i]
		} else if namespaces {
			out[i] = fmt.Sprint(" ", at(rows[i-1], "metadata", "namespace"), out[i])
		}
		out[i] = strings.Join(strings.Fields(out[i]), " ")
	}
	return strings.Join(out, "\n")
}

func sameAsKubectl(t *testing.T, p person, path string, args ...string) {
	t.Helper()
	wide, namespaces := slices.Contains(args, "wide"), slices.Contains(args, "--all-namespaces")
	fixture.Eventually(t, "wait until "+path+" equals kubectl get", func(ctx context.Context) error {
		text, err := env.Cluster.Kubectl(ctx, append([]string{"get"}, args...)...)
		if err != nil {
			return err
		}
		lines := strings.Split(text, "\n")
		for i := range lines {
			lines[i] = strings.Join(strings.Fields(lines[i]), " ")
		}
		want := strings.Join(lines, "\n")
		// Ages may differ by a second. The comparison is then repeated.
		if got := asKubectl(t, p.get(t, path), wide, namespaces); got != want {
			return fmt.Errorf("got\n%s\nand kubectl\n%s", got, want)
		}
		return nil
	})
}

func TestTablesEqualKubectl(t *testing.T) {
	one, two, foreign := set().Namespace(t, "table-a"), set().Namespace(t, "table-b"), set().Namespace(t, "table-c")
	all, some := newPerson(t, "admin"), newPerson(t, "readonly", one, two)
	mark := map[string]string{"table": one}
	for i, ns := range []string{one, two, foreign} {
		podWithRestarts(t, ns, fmt.Sprintf("p%d", i), int32(i))
		deploy(t, ns, fmt.Sprintf("d%d", i), mark)
		labelled(t, ns, fmt.Sprintf("c%d", i), mark, i)
	}
	set().Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: one, Name: "s"},
		StringData: map[string]string{"p": "canary-of-tables"}})
	group, plural := installPrintedKind(t)
	set().Create(t, &unstructured.Unstructured{Object: object{
		"apiVersion": group + "/v1", "kind": "Printed", "metadata": object{"namespace": one, "name": "a"},
		"spec": object{"size": int64(7), "open": true, "share": 0.5, "since": "2020-01-01T00:00:00Z", "note": "wide"},
	}})
	set().Create(t, &unstructured.Unstructured{Object: object{
		"apiVersion": group + "/v1", "kind": "Printed", "metadata": object{"namespace": one, "name": "b"},
	}})
	marked := "labelSelector=table%3D" + one
	for _, tc := range []struct {
		path string
		args []string
	}{
		{in(one, "pods") + "?view=table", []string{"pods", "-n", one}},
		{in(one, "pods") + "?view=table", []string{"pods", "-n", one, "-o", "wide"}},
		{in(one, "deployments") + "?view=table", []string{"deployments", "-n", one}},
		{in(one, "deployments") + "?view=table", []string{"deployments", "-n", one, "-o", "wide"}},
		{in(one, plural+"."+group) + "?view=table", []string{plural, "-n", one}},
		{in(one, plural+"."+group) + "?view=table", []string{plural, "-n", one, "-o", "wide"}},
		{in(one, "secrets") + "?view=table", []string{"secrets", "-n", one}},
		{"/resources/configmaps?view=table&" + marked,
			[]string{"configmaps", "--all-namespaces", "-l", "table=" + one}},
		{"/resources/namespaces?view=table&labelSelector=kubernetes.io/metadata.name%3D" + one,
			[]string{"namespaces", "-l", "kubernetes.io/metadata.name=" + one}},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			sameAsKubectl(t, all, tc.path, tc.args...)
		})
	}
	t.Run("columns of an empty list", func(t *testing.T) {
		if columns, rows := tableOf(t, all.get(t, in(one, "jobs")+"?view=table")); len(columns) < 4 || len(rows) > 0 {
			t.Errorf("%v, %v", columns, rows)
		}
	})
	t.Run("of somebody with two namespaces", func(t *testing.T) { testPartialTables(t, some, one, two, foreign) })
	t.Run("content", func(t *testing.T) { testContentOfTables(t, all, one) })
}

// testPartialTables verifies that a list with view=table contains only objects in namespaces that the user may read.
func testPartialTables(t *testing.T, some person, one, two, foreign string) {
	t.Helper()
	list := "/resources/configmaps?view=table&labelSelector=table%3D" + one
	e := some.get(t, list)
	if got := names(t, e); !slices.Equal(got, []string{"c0", "c1"}) || !e.Meta.Partial ||
		!slices.Equal(e.Meta.Namespaces, []string{one, two}) || *e.Meta.Total != 2 || e.Meta.Source != "apiserver" {
		t.Errorf("got %v, %+v", got, e.Meta)
	}
	if columns, _ := tableOf(t, e); len(columns) != 3 {
		t.Errorf("the columns are %v", columns)
	}
	if strings.Contains(string(e.Raw), foreign) {
		t.Errorf("the table shows %s: %s", foreign, e.Raw)
	}
	first := some.get(t, list+"&limit=1")
	second := some.get(t, list+"&limit=1&continue="+url.QueryEscape(first.Meta.Continue))
	if got := append(names(t, first), names(t, second)...); !slices.Equal(got, []string{"c0", "c1"}) {
		t.Errorf("in pages: %v", got)
	}
	own := some.get(t, "/resources/namespaces?view=table")
	if got := names(t, own); !slices.Equal(got, []string{one, two}) || !own.Meta.Partial {
		t.Errorf("namespaces: %v", got)
	}
	columns, rows := tableOf(t, own)
	if cells, ok := rows[0]["cells"].([]any); len(columns) != 3 || !ok || cells[1] != "Active" {
		t.Errorf("namespaces: %v, %v", columns, rows)
	}
	for query, want := range map[string][]string{
		"&fieldSelector=metadata.name%3D" + two:                       {two},
		"&fieldSelector=status.phase%3DTerminating":                   {},
		"&labelSelector=kubernetes.io/metadata.name%3D" + one:         {one},
		"&sortBy=name&order=desc&fieldSelector=status.phase%3DActive": {two, one},
	} {
		found := some.get(t, "/resources/namespaces?view=table"+query)
		if got := names(t, found); !slices.Equal(got, want) {
			t.Errorf("namespaces with %s: %v, want %v", query, got, want)
		}
		if columns, _ := tableOf(t, found); len(columns) != 3 {
			t.Errorf("namespaces with %s have the columns %v", query, columns)
		}
	}
	some.get(t, in(foreign, "pods")+"?view=table").Want(t, wire.NamespaceForbidden)
	some.get(t, "/resources/nodes?view=table").Want(t, wire.Forbidden)
}

// testContentOfTables verifies the following properties of tables, which are lists that a user requests with
// view=table:
//   - A row contains only the cells, the apiVersion, the kind and a part of the metadata.
//   - Tables can be searched, divided into pages, and sorted by fields that the rows do not contain.
//   - Invalid query parameters are rejected.
//   - A table of Secrets contains no confidential values.
func testContentOfTables(t *testing.T, all person, ns string) {
	t.Helper()
	for _, name := range []string{"few", "many"} {
		podWithRestarts(t, ns, name, map[string]int32{"few": 3, "many": 40}[name])
	}
	pods := in(ns, "pods") + "?view=table"
	table, list := all.get(t, pods), all.get(t, in(ns, "pods"))
	if few, many := len(table.Data), len(list.Data); few > many/5 {
		t.Errorf("the table has %d bytes, and the list %d", few, many)
	}
	_, rows := tableOf(t, table)
	for _, row := range rows {
		if got := slices.Sorted(maps.Keys(row)); !slices.Equal(got, []string{"apiVersion", "cells", "kind",
			"metadata"}) || row["kind"] != "Pod" || row["apiVersion"] != "v1" {
			t.Errorf("a row is %v", row)
		}
		if got := slices.Sorted(maps.Keys(part(t, row, "metadata"))); !slices.Equal(got,
			[]string{"creationTimestamp", "name", "namespace", "uid"}) {
			t.Errorf("the metadata of a row are %v", got)
		}
	}
	for query, want := range map[string][]string{
		"&sortBy=restarts&order=desc":                           {"many", "few", "p0"},
		"&sortBy=spec.containers%5B1%5D.resources.requests.cpu": {"p0", "few", "many"},
		"&sortBy=name&order=desc&limit=2":                       {"p0", "many"},
		"&q=MAN":                                                {"many"},
		"&sortBy=cpu&order=desc&limit=1":                        {"many"},
		"&limit=1":                                              {"few"},
		"&fieldSelector=metadata.name%3Dfew":                    {"few"},
	} {
		if got := names(t, all.get(t, pods+query)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	first := all.get(t, pods+"&limit=2")
	if first.Meta.Total == nil || *first.Meta.Total != 3 || first.Meta.Continue == "" {
		t.Errorf("a page: %+v", first.Meta)
	}
	rest := all.get(t, pods+"&limit=2&continue="+url.QueryEscape(first.Meta.Continue))
	if got := append(names(t, first), names(t, rest)...); !slices.Equal(got, []string{"few", "many", "p0"}) {
		t.Errorf("in pages: %v", got)
	}
	if columns, _ := tableOf(t, rest); len(columns) == 0 {
		t.Error("the second page has no columns")
	}
	for query, field := range map[string]string{
		"?view=tree": "view", "?view=": "", "?view=table&sortBy=spec.none": "sortBy", "?view=table&limit=x": "limit",
		"?view=table&continue=x": "continue", "?view=table&labelSelector=%3D": "labelSelector",
	} {
		if e := all.get(t, in(ns, "pods")+query); e.Meta.Field != field {
			t.Errorf("%s: code %d, the field is %q", query, e.Code, e.Meta.Field)
		}
	}
	for _, query := range []string{"", "&sortBy=data.p", "&q=s"} {
		e := all.get(t, in(ns, "secrets")+"?view=table"+query).Want(t, wire.OK)
		if strings.Contains(string(e.Raw), "canary") || strings.Contains(string(e.Raw), "Y2FuYXJ5") {
			t.Errorf("a table of Secrets with %s shows a value: %s", query, e.Raw)
		}
	}
}

func deploy(tb testing.TB, ns, name string, labels map[string]string) {
	tb.Helper()
	app := map[string]string{"app": name}
	set().Create(tb, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(0)), Selector: &metav1.LabelSelector{MatchLabels: app},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: app},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "none:1"}}},
			},
		},
	})
}

func installPrintedKind(t *testing.T) (group, plural string) {
	t.Helper()
	plural = strings.ReplaceAll(fixture.Name("printeds"), "-", "")
	v := version("v1", true, true)
	v["additionalPrinterColumns"] = []any{
		object{"name": "Size", "type": "integer", "jsonPath": ".spec.size", "description": "its size"},
		object{"name": "Open", "type": "boolean", "jsonPath": ".spec.open"},
		object{"name": "Share", "type": "number", "jsonPath": ".spec.share"},
		object{"name": "Since", "type": "date", "jsonPath": ".spec.since"},
		object{"name": "Note", "type": "string", "jsonPath": ".spec.note", "priority": int64(1)},
		object{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
	}
	d := newDefinition(plural, "Printed", "Namespaced", v)
	set().Create(t, d.object)
	fixture.Eventually(t, "wait until the kind is served", func(ctx context.Context) error {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(d.group + "/v1")
		list.SetKind("PrintedList")
		return env.Client.List(ctx, list)
	})
	return d.group, plural
}
