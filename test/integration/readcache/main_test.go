// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package readcache tests responses from the read cache, with real control planes.
package readcache

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

const (
	host = "host"

	fromCache, fromAPIServer = "cache", "apiserver"
)

var env *environment.Environment

func TestMain(m *testing.M) {
	os.Exit(environment.Main(m, environment.Options{
		APIServerArgs: []string{"--read-cache-bytes=67108864"}, DetectRaces: []string{environment.APIServer},
	}, func(e *environment.Environment) { env = e }))
}

func set() fixture.Set { return fixture.Set{Client: env.Client} }

type person struct {
	fixture.User
	fixture.Login

	client  *wire.Client
	cluster string
}

func newPerson(tb testing.TB, name string) person {
	tb.Helper()
	set().HostCluster(tb, host)
	client, err := wire.New(env.KubeVision.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		tb.Fatal(err)
	}
	p := person{User: set().User(tb, name), client: client, cluster: host}
	p.Login = p.User.Login(tb, client, wire.DirectPath)
	return p
}

// bound creates a user with a role in some namespaces, or in all namespaces if none are given.
func bound(tb testing.TB, role string, namespaces ...string) person {
	tb.Helper()
	p := newPerson(tb, role)
	set().Bind(
		tb,
		role,
		fixture.Grant{Role: role, Subjects: fixture.KubeVisionUsers(p.User), Cluster: host, Namespaces: namespaces},
	)
	return p
}

func (p person) request(path string) wire.Request {
	return wire.Request{Path: wire.DirectPath + "/clusters/" + p.cluster + path, Bearer: p.AccessToken}
}

func (p person) get(tb testing.TB, path string) wire.Envelope {
	tb.Helper()
	return p.client.Call(tb, p.request(path))
}

func (p person) send(tb testing.TB, method, path, body string) wire.Envelope {
	tb.Helper()
	r := p.request(path)
	r.Method, r.Body = method, body
	if method == http.MethodPatch {
		r.Header = http.Header{"Content-Type": {"application/merge-patch+json"}}
	}
	return p.client.Call(tb, r)
}

// cached waits until the response for a path comes from the cache.
func (p person) cached(tb testing.TB, path string) wire.Envelope {
	tb.Helper()
	var e wire.Envelope
	fixture.Eventually(tb, "wait for an answer from the cache to "+path, func(ctx context.Context) error {
		response, err := p.client.Do(ctx, p.request(path))
		if err != nil {
			return err //nolint:wrapcheck // the error contains the request
		}
		if e, err = response.Parse(); err != nil {
			return err //nolint:wrapcheck // as above
		}
		if e.Code != wire.OK || e.Meta.Source != fromCache {
			return fmt.Errorf("code %d (%s) from %q", e.Code, e.Message, e.Meta.Source)
		}
		return nil
	})
	return e
}

func live(path string) string {
	if strings.Contains(path, "?") {
		return path + "&source=live"
	}
	return path + "?source=live"
}

// in returns the path of the objects of a kind in a namespace, or of one object.
func in(namespace, kind string, name ...string) string {
	return "/namespaces/" + namespace + "/resources/" + strings.Join(append([]string{kind}, name...), "/")
}

type object = map[string]any

func items(tb testing.TB, e wire.Envelope) []object {
	tb.Helper()
	var out []object
	e.Want(tb, wire.OK).Into(tb, &out)
	return out
}

func key(o object) (namespace, name string) {
	metadata, _ := o["metadata"].(object)
	namespace, _ = metadata["namespace"].(string)
	name, _ = metadata["name"].(string)
	return namespace, name
}

func names(tb testing.TB, e wire.Envelope) []string {
	tb.Helper()
	out := []string{}
	for _, o := range items(tb, e) {
		_, name := key(o)
		out = append(out, name)
	}
	return out
}

func canonical(tb testing.TB, raw json.RawMessage) string {
	tb.Helper()
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		tb.Fatal(err)
	}
	out, err := json.Marshal(value) // sorts the keys
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

func configMap(tb testing.TB, ns, name string, labels map[string]string, value string) {
	tb.Helper()
	set().Create(tb, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: ns,
			Name:      name,
			Labels:    labels,
		}, Data: map[string]string{"value": value},
	})
}
