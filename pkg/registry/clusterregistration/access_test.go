// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterregistration_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func ready(status metav1.ConditionStatus) []metav1.Condition {
	return []metav1.Condition{{Type: kubevisionv1alpha1.ReadyCondition, Status: status, Reason: "Tested",
		Message: "details for operators", LastTransitionTime: metav1.Now()}}
}

func (e *endpoints) probed(t *testing.T, conditions []metav1.Condition) *kubevisionv1alpha1.KubeVisionCluster {
	t.Helper()
	c := e.register(t)
	c.Status.Version, c.Status.APIServer = "v1.2.3", "https://kube.example:6443"
	c.Status.Nodes = &kubevisionv1alpha1.NodeCount{Total: 3, Ready: 2}
	c.Status.Conditions = conditions
	if err := e.Client.Status().Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

func fieldsOf(t *testing.T, text json.RawMessage) string {
	t.Helper()
	object := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return strings.Join(slices.Sorted(maps.Keys(object)), " ")
}

// TestFieldsOfACluster verifies which fields of a cluster a caller receives from GET /clusters and GET
// /clusters/{cluster}.
func TestFieldsOfACluster(t *testing.T) {
	const (
		forAll       = "apiServer createdAt displayName id name status version"
		forOperators = "apiServer authType conditions createdAt displayName id labels name nodes resourceVersion " +
			"status version"
	)
	e := newEndpoints(t)
	c := e.probed(t, ready(metav1.ConditionTrue))
	for name, tc := range map[string]struct {
		caller       user.Info
		single, list string
	}{
		"an operator":             {e.operator(t), forOperators, forOperators},
		"a user of the cluster":   {e.caller(t, onClusters("use", c.Name)), forAll, forAll},
		"a user of all clusters":  {e.caller(t, onClusters("use")), forAll, forAll},
		"a reader of the cluster": {e.caller(t, onClusters("get", c.Name)), forOperators, ""},
		"a reader of the list":    {e.caller(t, onClusters("list")), "", forOperators},
		"a user of another":       {e.caller(t, onClusters("use", "another")), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			code := wire.OK
			if tc.single == "" {
				code = wire.ClusterForbidden
			}
			single := e.Call(t, tc.caller, get, "/clusters/"+c.Name, nil).Want(t, code)
			if got := string(single.Data); code == wire.OK && fieldsOf(t, single.Data) != tc.single {
				t.Errorf("the fields are %s, want %s", got, tc.single)
			}
			var items []json.RawMessage
			list := e.Call(t, tc.caller, get, "/clusters", nil).Want(t, wire.OK)
			list.Into(t, &items)
			listed := ""
			for _, item := range items {
				if strings.Contains(string(item), `"id":"`+c.Name+`"`) {
					listed = fieldsOf(t, item)
				}
			}
			if listed != tc.list {
				t.Errorf("the fields in the list are %q, want %q", listed, tc.list)
			}
			if list.Meta.Total == nil || int(*list.Meta.Total) != len(items) || string(list.Data) == "null" {
				t.Errorf("the list of %d clusters is %s", len(items), list.Raw)
			}
		})
	}
}

func TestStatusOfACluster(t *testing.T) {
	e := newEndpoints(t)
	operator := e.operator(t)
	for name, tc := range map[string]struct {
		conditions []metav1.Condition
		want       string
	}{
		"not probed": {nil, "pending"},
		"unknown":    {ready(metav1.ConditionUnknown), "pending"},
		"ready":      {ready(metav1.ConditionTrue), "healthy"},
		"not ready":  {ready(metav1.ConditionFalse), "unhealthy"},
	} {
		t.Run(name, func(t *testing.T) {
			c := e.probed(t, tc.conditions)
			answer := e.Call(t, operator, get, "/clusters/"+c.Name, nil).Want(t, wire.OK)
			if !strings.Contains(string(answer.Data), `"status":"`+tc.want+`"`) {
				t.Errorf("the status is not %s: %s", tc.want, answer.Data)
			}
		})
	}
}

// TestDenialsDoNotDependOnTheCluster verifies that callers without rights get the same response for existing and
// missing clusters.
func TestDenialsDoNotDependOnTheCluster(t *testing.T) {
	e := newEndpoints(t)
	existing, missing := e.register(t).Name, fixture.Name("member")
	for who, caller := range map[string]user.Info{
		"a stranger":        &user.DefaultInfo{Name: "stranger", Groups: []string{user.AllAuthenticated}},
		"a user of another": e.caller(t, onClusters("use", "another")),
		"a writer without get": e.caller(t, onClusters("update"), onClusters("patch"), onClusters("delete"),
			onSecrets("*")),
	} {
		for operation, request := range map[string]struct {
			method, suffix string
			body           any
		}{
			"show":   {get, "", nil},
			"update": {put, "", fields{"displayName": "x", "kubeconfig": valid()}},
			"delete": {http.MethodDelete, "", nil},
			"test":   {post, "/test", nil},
		} {
			t.Run(who+" may not "+operation, func(t *testing.T) {
				ask := func(name string) string {
					answer := e.Call(t, caller, request.method, "/clusters/"+name+request.suffix, request.body)
					return strings.ReplaceAll(string(answer.Want(t, wire.ClusterForbidden).Raw), name, "NAME")
				}
				if a, b := ask(existing), ask(missing); a != b {
					t.Errorf("an existing cluster: %s\na missing cluster: %s", a, b)
				}
			})
		}
	}
	e.present(t, clusterNamed(existing))
}

// TestExamination verifies that the response to a connection test contains the results, even if the cluster has a
// problem. The problem must not cause an error response.
func TestExamination(t *testing.T) {
	e := newEndpoints(t)
	c := e.register(t)
	answer := e.Call(t, e.caller(t, onClusters("use", c.Name)), post, "/clusters/"+c.Name+"/test", nil).Want(t, wire.OK)
	const want = `{"reachable":true,"credentialsValid":false,"impersonationReady":false,"version":"v1.2.3",` +
		`"message":"the token has expired"}`
	if string(answer.Data) != want {
		t.Errorf("the result is %s, want %s", answer.Data, want)
	}
}

func TestAnonymousCallers(t *testing.T) {
	e := newEndpoints(t)
	for _, path := range []string{"/clusters", "/clusters/any"} {
		e.Call(t, &user.DefaultInfo{Name: user.Anonymous}, get, path, nil).Want(t, wire.Unauthenticated)
	}
}
