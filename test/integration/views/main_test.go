// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package views_test tests API responses that describe a cluster, such as the overview, the search and the topology.
// The users in the tests may read the whole cluster or only some namespaces.
package views_test

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

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
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

type viewer struct {
	client *wire.Client
	user   fixture.User
	token  string
}

// newViewer creates a user with a role in namespaces, or in the whole cluster if none are given.
func newViewer(tb testing.TB, role string, namespaces ...string) *viewer {
	tb.Helper()
	set().HostCluster(tb, host)
	c, err := wire.New(env.KubeVision.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		tb.Fatal(err)
	}
	v := &viewer{client: c, user: set().User(tb, "viewer")}
	v.bind(tb, role, namespaces...)
	v.token = v.user.Login(tb, c, wire.DirectPath).AccessToken
	return v
}

func (v *viewer) bind(tb testing.TB, role string, namespaces ...string) {
	tb.Helper()
	set().Bind(tb, "viewer", fixture.Grant{Role: role, Subjects: fixture.KubeVisionUsers(v.user), Cluster: host,
		Namespaces: namespaces})
}

func (v *viewer) asks(path string) wire.Request {
	return wire.Request{Path: wire.DirectPath + path, Bearer: v.token}
}

func (v *viewer) get(tb testing.TB, path string) wire.Envelope {
	tb.Helper()
	return v.client.Call(tb, v.asks(path))
}

func (v *viewer) post(tb testing.TB, path, body string) wire.Envelope {
	tb.Helper()
	r := v.asks(path)
	r.Method, r.Body = http.MethodPost, body
	return v.client.Call(tb, r)
}

func read[T any](tb testing.TB, v *viewer, path string) (data T, meta dashboardv1alpha1.Meta) {
	tb.Helper()
	e := v.get(tb, path).Want(tb, wire.OK)
	e.Into(tb, &data)
	return data, metaOf(tb, e)
}

func metaOf(tb testing.TB, e wire.Envelope) dashboardv1alpha1.Meta {
	tb.Helper()
	var whole struct{ Meta dashboardv1alpha1.Meta }
	if err := json.Unmarshal(e.Raw, &whole); err != nil {
		tb.Fatal(err)
	}
	return whole.Meta
}

func becomes[T any](tb testing.TB, v *viewer, path string, check func(T) error) {
	tb.Helper()
	fixture.Eventually(tb, "wait for "+path, func(ctx context.Context) error {
		response, err := v.client.Do(ctx, v.asks(path))
		if err != nil {
			return fmt.Errorf("asking: %w", err)
		}
		data, err := parse[T](response)
		if err != nil {
			return err
		}
		return check(data)
	})
}

func parse[T any](response *wire.Response) (data T, err error) {
	e, err := response.Parse()
	if err != nil {
		return data, fmt.Errorf("reading the envelope: %w", err)
	}
	if e.Code != wire.OK {
		return data, fmt.Errorf("code %d: %s", e.Code, e.Message)
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return data, fmt.Errorf("reading the data: %w", err)
	}
	return data, nil
}

// canary is the value of every Secret that the tests create.
const (
	canary       = "canary-hunter2-value"
	canaryBase64 = "Y2FuYXJ5LWh1bnRlcjItdmFsdWU="
)

// world contains a namespace that a user may read, and a namespace that the user may not read.
type world struct {
	// mark is a substring of the name of each object in the two namespaces.
	mark string
	// hidden is a substring of each name that a response to the user must not contain.
	hidden string

	mine, theirs string
}

func newWorld(tb testing.TB) world {
	tb.Helper()
	w := world{mark: fixture.Name("mark"), hidden: fixture.Name("hidden")}
	w.mine, w.theirs = set().Namespace(tb, "mine"), set().Namespace(tb, w.hidden)
	w.populate(tb, w.mine, w.mark)
	w.populate(tb, w.theirs, w.mark+"-"+w.hidden)
	return w
}

func (w *world) populate(tb testing.TB, namespace, name string) {
	tb.Helper()
	set().Pod(tb, namespace, name)
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name}
	applied := meta
	applied.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: `{"data":{"p":"` + canaryBase64 + `"}}`}
	set().Create(tb, &corev1.Secret{ObjectMeta: applied, StringData: map[string]string{"p": canary}})
	set().Create(tb, &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": name}, Ports: []corev1.ServicePort{{Port: 80}},
	}})
}

// check fails the test if a response contains a hidden name or the value of a Secret.
func (w *world) check(tb testing.TB, what string, e wire.Envelope) {
	tb.Helper()
	for _, secret := range []string{w.hidden, canary, canaryBase64} {
		if strings.Contains(string(e.Raw), secret) {
			tb.Errorf("%s shows %s: %.800s", what, secret, e.Raw)
		}
	}
}
