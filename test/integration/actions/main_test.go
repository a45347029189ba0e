// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package actions tests the operations of pkg/registry/action (scaling, restarts, rollbacks, drains) with the
// controllers of Kubernetes.
package actions

import (
	"net/http"
	"os"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

type actor struct {
	client *wire.Client
	token  string
}

func newActor(t *testing.T, role string, namespaces ...string) actor {
	t.Helper()
	set().HostCluster(t, host)
	u := set().User(t, "actor")
	set().Bind(t, "actor", fixture.Grant{Role: role, Subjects: fixture.KubeVisionUsers(u), Cluster: host,
		Namespaces: namespaces})
	c, err := wire.New(env.KubeVision.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		t.Fatal(err)
	}
	return actor{client: c, token: u.Login(t, c, wire.DirectPath).AccessToken}
}

func (a actor) call(t *testing.T, method, path, body string) wire.Envelope {
	t.Helper()
	return a.client.Call(t, wire.Request{Method: method, Path: wire.DirectPath + onHost + path, Bearer: a.token,
		Body: body})
}

func (a actor) get(t *testing.T, path string) wire.Envelope {
	t.Helper()
	return a.call(t, http.MethodGet, path, "")
}

func (a actor) put(t *testing.T, path, body string) wire.Envelope {
	t.Helper()
	return a.call(t, http.MethodPut, path, body)
}

func (a actor) post(t *testing.T, path, body string) wire.Envelope {
	t.Helper()
	return a.call(t, http.MethodPost, path, body)
}

func refused(t *testing.T, e wire.Envelope, code int, field string) {
	t.Helper()
	if e.Code != code || e.Meta.Field != field {
		t.Errorf("code %d, field %q (%s), want %d, field %q", e.Code, e.Meta.Field, e.Message, code, field)
	}
}

func read[T client.Object](t *testing.T, o T) T {
	t.Helper()
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatal(err)
	}
	return o
}

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: image}}},
	}
}

func selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
}

func deployment(t *testing.T, namespace, name string, replicas int32) *appsv1.Deployment {
	t.Helper()
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector(), Template: template("web:1")},
	}
	set().Create(t, d)
	set().AtRevision(t, d, 1)
	return d
}

func update(t *testing.T, o client.Object, patch string) {
	t.Helper()
	if err := env.Client.Patch(t.Context(), o, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
}
