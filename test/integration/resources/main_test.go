// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package resources tests the operations of the dashboard's API on objects of a real cluster.
package resources

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

const (
	host = "host"

	jsonType      = "application/json"
	yamlType      = "application/yaml"
	applyType     = "application/apply-patch+yaml"
	mergeType     = "application/merge-patch+json"
	strategicType = "application/strategic-merge-patch+json"
	jsonPatchType = "application/json-patch+json"
)

var env *environment.Environment

func TestMain(m *testing.M) {
	os.Exit(environment.Main(m, environment.Options{}, func(e *environment.Environment) { env = e }))
}

func set() fixture.Set { return fixture.Set{Client: env.Client} }

type person struct {
	fixture.User
	fixture.Login

	client *wire.Client
}

// newPerson logs in a user with a role in the given namespaces, or in the whole cluster if there are none.
func newPerson(tb testing.TB, role string, namespaces ...string) person {
	tb.Helper()
	set().HostCluster(tb, host)
	client, err := wire.New(env.KubeVision.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		tb.Fatal(err)
	}
	p := person{User: set().User(tb, role), client: client}
	set().Bind(tb, role, fixture.Grant{Role: role, Subjects: fixture.KubeVisionUsers(p.User), Cluster: host,
		Namespaces: namespaces})
	p.Login = p.User.Login(tb, client, wire.DirectPath)
	return p
}

// send sends a request. The path is relative to the API path of the cluster, which is /clusters/host.
func (p person) send(tb testing.TB, method, path, contentType, body string) wire.Envelope {
	tb.Helper()
	r := wire.Request{Method: method, Path: wire.DirectPath + "/clusters/" + host + path, Bearer: p.AccessToken,
		Body: body}
	if contentType != "" {
		r.Header = http.Header{"Content-Type": {contentType}}
	}
	return p.client.Call(tb, r)
}

func (p person) get(tb testing.TB, path string) wire.Envelope {
	tb.Helper()
	return p.send(tb, http.MethodGet, path, "", "")
}

func answers(p person, path string) func(context.Context) error {
	return func(ctx context.Context) error {
		return p.client.Answers(ctx, wire.OK,
			wire.Request{Path: wire.DirectPath + "/clusters/" + host + path, Bearer: p.AccessToken})
	}
}

// in returns the path of the objects of a kind in a namespace, or of one object.
func in(namespace, kind string, name ...string) string {
	return "/namespaces/" + namespace + "/resources/" + strings.Join(append([]string{kind}, name...), "/")
}

type object = map[string]any

func decoded(tb testing.TB, e wire.Envelope) object {
	tb.Helper()
	var o object
	e.Want(tb, wire.OK).Into(tb, &o)
	return o
}

func at(o object, path ...string) any {
	var current any = o
	for _, segment := range path {
		next, ok := current.(object)
		if !ok {
			return nil
		}
		current = next[segment]
	}
	return current
}

func part(tb testing.TB, o object, field string) object {
	tb.Helper()
	found, ok := o[field].(object)
	if !ok {
		tb.Fatalf("there is no object %s in %v", field, o)
	}
	return found
}

func encoded(tb testing.TB, o any) string {
	tb.Helper()
	body, err := json.Marshal(o)
	if err != nil {
		tb.Fatal(err)
	}
	return string(body)
}

func names(tb testing.TB, e wire.Envelope) []string {
	tb.Helper()
	var items []object
	e.Want(tb, wire.OK).Into(tb, &items)
	out := make([]string, 0, len(items))
	for _, item := range items {
		name, _ := at(item, "metadata", "name").(string)
		out = append(out, name)
	}
	return out
}
