// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dashboard_test uses kubevision-apiserver like a dashboard in a browser.
package dashboard_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

const (
	host   = "host"
	onHost = "/clusters/" + host
)

var env *environment.Environment

func TestMain(m *testing.M) {
	os.Exit(environment.Main(m, environment.Options{}, func(e *environment.Environment) { env = e }))
}

func set() fixture.Set { return fixture.Set{Client: env.Client} }

// browser simulates a browser in which a user is logged in to the web UI.
type browser struct {
	fixture.User

	client *wire.Client
	token  string
}

// newBrowser logs in a user with a cluster-wide role, or without a role if role is empty.
func newBrowser(tb testing.TB, role string) *browser {
	tb.Helper()
	set().HostCluster(tb, host)
	c, err := wire.New(env.KubeVision.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		tb.Fatal(err)
	}
	b := &browser{client: c, User: set().User(tb, "browser")}
	if role != "" {
		set().Bind(tb, "browser", fixture.Grant{Role: role, Subjects: fixture.KubeVisionUsers(b.User), Cluster: host})
	}
	b.token = b.User.Login(tb, c, wire.DirectPath).AccessToken
	return b
}

func (b *browser) call(tb testing.TB, method, path string, body any) wire.Envelope {
	tb.Helper()
	return b.client.Call(tb, b.request(tb, method, path, body))
}

func (b *browser) request(tb testing.TB, method, path string, body any) wire.Request {
	tb.Helper()
	r := wire.Request{Method: method, Path: wire.DirectPath + path, Bearer: b.token}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			tb.Fatal(err)
		}
		r.Body = string(text)
	}
	return r
}

func read[T any](tb testing.TB, b *browser, path string) (data T) {
	tb.Helper()
	b.call(tb, "GET", path, nil).Want(tb, wire.OK).Into(tb, &data)
	return data
}
