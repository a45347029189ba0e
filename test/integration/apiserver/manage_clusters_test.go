// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func kubeconfigWith(token, more string) string {
	return fixture.Kubeconfig("https://kube.example:6443", token, more)
}

func registration(name string) (*kubevisionv1alpha1.KubeVisionCluster, *corev1.Secret) {
	return &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name + "-kubeconfig"}}
}

// leakCheckingClient is a client that fails the test if a response contains a credential.
type leakCheckingClient struct {
	*wire.Client

	credentials []string
}

func (w leakCheckingClient) Call(t *testing.T, r wire.Request) wire.Envelope {
	t.Helper()
	e := w.Client.Call(t, r)
	for _, credential := range w.credentials {
		for _, form := range []string{credential, base64.StdEncoding.EncodeToString([]byte(credential))} {
			if strings.Contains(string(e.Raw), form) {
				t.Errorf("the answer to %s %s holds a credential", r.Method, r.Path)
			}
		}
	}
	return e
}

func TestClusterRegistration(t *testing.T) {
	set().HostCluster(t, host)
	canary, rotated := "canary-"+fixture.Name("first"), "canary-"+fixture.Name("second")
	c, a := leakCheckingClient{direct(t), []string{canary, rotated}}, newActor(t, "admin")
	name := fixture.Name("member")
	cluster, secret := registration(name)
	body := fields{"name": name, "displayName": "A member", "authType": "kubeconfig",
		"kubeconfig": kubeconfigWith(canary, "")}
	for what, w := range map[string]wrongBody{
		"no name":            {fields{"name": nil}, wire.Required, "name"},
		"a bad name":         {fields{"name": "No_Name"}, wire.Invalid, "name"},
		"a long name":        {fields{"name": strings.Repeat("x", 64)}, wire.Invalid, "name"},
		"no way to reach it": {fields{"authType": nil}, wire.Required, "authType"},
		"an unknown way":     {fields{"authType": "ssh"}, wire.Invalid, "authType"},
		"no kubeconfig":      {fields{"kubeconfig": nil}, wire.Required, "kubeconfig"},
		"both ways":          {fields{"authType": "in-cluster"}, wire.Invalid, "kubeconfig"},
		"no YAML":            {fields{"kubeconfig": "\t" + canary}, wire.Invalid, "kubeconfig"},
		"a program": {fields{"kubeconfig": kubeconfigWith(canary, "    exec: {command: "+canary+"}")},
			wire.Invalid, "kubeconfig"},
		"a file": {fields{"kubeconfig": kubeconfigWith(canary, "    tokenFile: /"+canary)}, wire.Invalid,
			"kubeconfig"},
		// The claim exp is 1.
		"a token of the past": {fields{"kubeconfig": kubeconfigWith("e30.eyJleHAiOjF9.x", "")}, wire.Invalid,
			"kubeconfig"},
		"an unknown field": {fields{"secret": "x"}, wire.Invalid, "secret"},
		"an invalid label": {fields{"labels": fields{"a": "not a value"}}, wire.Rejected, ""},
	} {
		t.Run(what, func(t *testing.T) {
			w.check(t, c.Call(t, as(a.AccessToken, post(t, "/clusters", body.with(w.change)))))
			absent(t, cluster, secret)
		})
	}
	set().Later(t, cluster)
	e := c.Call(t, as(a.AccessToken, post(t, "/clusters", body.with(fields{"labels": fields{"tier": "test"}})))).Want(t,
		wire.OK)
	for _, want := range []string{`"id":"` + name + `"`, `"displayName":"A member"`, `"authType":"kubeconfig"`,
		`"labels":{"tier":"test"}`, `"status":"pending"`} {
		if !strings.Contains(string(e.Data), want) {
			t.Errorf("no %s in %s", want, e.Data)
		}
	}
	present(t, secret)
	if len(secret.OwnerReferences) != 1 || !strings.Contains(string(secret.Data["kubeconfig"]), canary) {
		t.Errorf("the Secret is %v", secret.ObjectMeta)
	}
	c.Call(t, as(a.AccessToken, post(t, "/clusters", body))).Want(t, wire.Conflict)
	becomes(t, c.Client, wire.OK, as(a.AccessToken, read("/clusters/"+name)))

	path := "/clusters/" + name
	present(t, cluster)
	c.Call(t, as(a.AccessToken, put(t, path, fields{"resourceVersion": "1", "displayName": "Late"}))).Want(t,
		wire.Stale)
	w := wrongBody{nil, wire.Invalid, "kubeconfig"}
	w.check(t, c.Call(t, as(a.AccessToken,
		put(t, path, fields{"kubeconfig": kubeconfigWith(rotated, "    as: "+rotated)}))))
	e = c.Call(t, as(a.AccessToken, put(t, path,
		fields{"kubeconfig": kubeconfigWith(rotated, ""), "labels": fields{"tier": "other"}}))).Want(t, wire.OK)
	if text := string(e.Data); !strings.Contains(text, `"labels":{"tier":"other"}`) ||
		!strings.Contains(text, `"displayName":"A member"`) {
		t.Errorf("after a change: %s", text)
	}
	present(t, secret)
	if !strings.Contains(string(secret.Data["kubeconfig"]), rotated) {
		t.Error("the kubeconfig was not replaced")
	}
	c.Call(t, as(a.AccessToken, read("/clusters"))).Want(t, wire.OK)
	c.Call(t, as(a.AccessToken, remove(path))).Want(t, wire.OK)
	set().Gone(t, secret)
	awaitGone(t, c.Client, wire.ClusterNotFound, as(a.AccessToken, read(path)))
	c.Call(t, as(a.AccessToken, remove(path))).Want(t, wire.ClusterNotFound)
	c.Call(t, as(a.AccessToken, put(t, path, fields{"displayName": "x"}))).Want(t, wire.ClusterNotFound)
	unseen(t, canary, rotated)
}

// unseen fails the test if a log, an event or an object other than a Secret contains a credential.
func unseen(t *testing.T, credentials ...string) {
	t.Helper()
	named := map[string]string{}
	for _, credential := range credentials {
		named[credential] = credential
		named[credential+" in base64"] = base64.StdEncoding.EncodeToString([]byte(credential))
	}
	for _, log := range []string{env.KubeVision.APIServer().LogFile(), env.KubeVision.ControllerManager().LogFile()} {
		wantNoSecrets(t, log, named)
	}
	for _, list := range []client.ObjectList{
		&kubevisionv1alpha1.KubeVisionClusterList{}, &kubevisionv1alpha1.KubeVisionUserList{}, &corev1.EventList{},
		&corev1.ConfigMapList{},
	} {
		if err := env.Client.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		for _, credential := range named {
			if strings.Contains(string(text), credential) {
				t.Errorf("a %T holds a credential", list)
			}
		}
	}
}

// TestClusterRegistrationLeavesNothingHalfDone verifies that a failed registration or update of a cluster changes no
// objects.
func TestClusterRegistrationLeavesNothingHalfDone(t *testing.T) {
	c := direct(t)
	lesser := newActor(t, role(t, rule("kubevision.io", "kubevisionclusters", "*")))
	name := fixture.Name("member")
	cluster, secret := registration(name)
	body := fields{"name": name, "authType": "kubeconfig", "kubeconfig": kubeconfigWith("token", "")}
	c.Call(t, as(lesser.AccessToken, post(t, "/clusters", body))).Want(t, wire.Forbidden)
	absent(t, cluster, secret)

	admin := newActor(t, "admin")
	secret.Data = map[string][]byte{"other": []byte("x")}
	set().Create(t, secret)
	c.Call(t, as(admin.AccessToken, post(t, "/clusters", body))).Want(t, wire.Conflict)
	absent(t, cluster)

	cluster.Spec.KubeconfigSecretRef = &kubevisionv1alpha1.SecretKeyReference{Name: secret.Name}
	set().Create(t, cluster)
	change := fields{"displayName": "Half", "kubeconfig": kubeconfigWith("token", "")}
	// The existing Secret does not contain a kubeconfig.
	becomes(t, c, wire.Conflict, as(admin.AccessToken, put(t, "/clusters/"+name, change)))
	c.Call(t, as(lesser.AccessToken, put(t, "/clusters/"+name, change))).Want(t, wire.Forbidden)
	present(t, cluster)
	if cluster.Spec.DisplayName != "" {
		t.Error("the change was made partially")
	}
	c.Call(t, as(admin.AccessToken, remove("/clusters/"+name))).Want(t, wire.OK)
	present(t, secret) // the Secret was not created for the cluster
	(wrongBody{nil, wire.Invalid, "kubeconfig"}).check(t, c.Call(t, as(admin.AccessToken, put(t, onHost, change))))
}

// TestOneCluster verifies that operators see more fields of a cluster than users who may only use it.
func TestOneCluster(t *testing.T) {
	set().HostCluster(t, host)
	c := direct(t)
	for role, operator := range map[string]bool{"admin": true, "dev": false, "readonly": false} {
		a := newActor(t, role)
		e := c.Call(t, as(a.AccessToken, read(onHost))).Want(t, wire.OK)
		for _, field := range []string{`"id":"host"`, `"status":"healthy"`, `"version"`, `"apiServer"`, `"createdAt"`} {
			if !strings.Contains(string(e.Data), field) {
				t.Errorf("%s does not see %s: %s", role, field, e.Data)
			}
		}
		for _, field := range []string{`"conditions"`, `"resourceVersion"`, `"authType"`} {
			if strings.Contains(string(e.Data), field) != operator {
				t.Errorf("%s: %s in %s?", role, field, e.Data)
			}
		}
	}
}
