// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const deployment = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"NAMESPACE"},
"spec":{"replicas":1,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},
"spec":{"containers":[{"name":"main","image":"registry.example.com/web:1"}]}}}}`

type replay struct {
	*browser

	words map[string]string
}

func (r *replay) fill(text string) string {
	for word, value := range r.words {
		text = strings.ReplaceAll(text, word, value)
	}
	return text
}

// TestCalls verifies that each call of the web UI has a route, and that each response has the form that the UI reads.
func TestCalls(t *testing.T) {
	b := newBrowser(t, "admin")
	namespace := set().Namespace(t, "ui")
	r := &replay{browser: b, words: map[string]string{"NAMESPACE": namespace, "USER": fixture.Name("made")}}
	r.words["DEPLOYMENT"] = r.fill(deployment)
	public := &replay{browser: &browser{client: b.client}, words: r.words}
	for _, c := range publicCalls() {
		public.send(t, c)
	}
	for _, kind := range sidebar() {
		r.send(t, call{"GET", onHost + "/resources/" + kind, "", wire.OK, ""})
	}
	for _, c := range slices.Concat(pageCalls(), objectCalls(), manageCalls(), absentCalls()) {
		if strings.Contains(c.body, "WEB") {
			r.awaitDeployment(t, namespace)
		}
		if strings.HasSuffix(c.path, "/deployments/web/rollback") {
			r.awaitRevisions(t, namespace)
		}
		r.send(t, c)
	}
}

// awaitDeployment waits until the Deployment "web" has a complete status. It then stores the Deployment as JSON,
// because later requests send this JSON text as the body.
func (r *replay) awaitDeployment(t *testing.T, namespace string) {
	t.Helper()
	path := onHost + "/resources/deployments/web?namespace=" + namespace
	fixture.Eventually(t, "wait for the Deployment", func(context.Context) error {
		got := read[map[string]any](t, r.browser, path)
		if status, _ := got["status"].(map[string]any); status["observedGeneration"] == nil ||
			status["conditions"] == nil || status["updatedReplicas"] == nil {
			return fmt.Errorf("its status is %v", status)
		}
		// When the dashboard updates an object, it also sends these two fields.
		got["raw"], got["name"] = map[string]any{"kind": "Deployment"}, "web"
		text, err := json.Marshal(got)
		r.words["WEB"] = string(text)
		return err
	})
}

// awaitRevisions waits until the Deployment "web" has two revisions, because a rollback needs an earlier revision.
func (r *replay) awaitRevisions(t *testing.T, namespace string) {
	t.Helper()
	path := onHost + "/namespaces/" + namespace + "/deployments/web/history"
	fixture.Eventually(t, "wait for two revisions", func(context.Context) error {
		if got := read[[]any](t, r.browser, path); len(got) < 2 {
			return fmt.Errorf("there are %d revisions", len(got))
		}
		return nil
	})
}

func (r *replay) send(t *testing.T, c call) {
	t.Helper()
	request := wire.Request{
		Method: c.method, Path: wire.DirectPath + r.fill(c.path), Bearer: r.token, Body: r.fill(c.body),
	}
	e := r.client.Call(t, request)
	switch {
	case e.Code != c.code:
		t.Errorf("%s %s: code %d (%s), want %d", c.method, c.path, e.Code, e.Message, c.code)
	case e.Code == wire.NotFound && strings.Contains(e.Message, "no route"):
		t.Errorf("%s %s has no route", c.method, c.path)
	case e.Code != wire.OK && e.Message == "":
		t.Errorf("%s %s has no message", c.method, c.path)
	case c.fields == "[]":
		if string(e.Data) != "[]" || !strings.Contains(string(e.Raw), `"total":0`) {
			t.Errorf("%s %s: %s", c.method, c.path, e.Raw)
		}
	case c.fields != "":
		r.check(t, c, e.Data)
	}
}

func (r *replay) check(t *testing.T, c call, data json.RawMessage) {
	t.Helper()
	var object map[string]json.RawMessage
	if items := []map[string]json.RawMessage{}; json.Unmarshal(data, &items) == nil && len(items) > 0 {
		object = items[0]
	} else if err := json.Unmarshal(data, &object); err != nil && string(data) != "[]" {
		t.Errorf("%s %s: %v", c.method, c.path, err)
	}
	if string(data) == "[]" && strings.Contains(c.path, "/crds") {
		return // the cluster contains only objects of other tests
	}
	for field := range strings.FieldsSeq(c.fields) {
		if value, ok := object[field]; !ok || string(value) == "null" {
			t.Errorf("%s %s: there is no %s in %.300s", c.method, c.path, field, data)
		}
	}
}
