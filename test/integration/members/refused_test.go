// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type refusedKubeconfig struct {
	// user and cluster contain YAML text that is inserted into a user entry or a cluster entry of a valid kubeconfig.
	// If cluster is "http", the server URL gets the scheme http instead.
	user, cluster string
	// want is the complete expected error message. The message must not reveal whether a file exists.
	want string
}

func refusedKubeconfigs(marker, file, noFile string) map[string]refusedKubeconfig {
	field := func(name string) string {
		return "not allowed: " + name + "; a kubeconfig for KubeVision may only contain inline certificate data " +
			"or a token"
	}
	const user, cluster = "users[0].user.", "clusters[0].cluster."
	out := map[string]refusedKubeconfig{
		"exec": {user: "exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, args: [" + marker +
			"], interactiveMode: Never}",
			want: field(user + "exec")},
		"auth-provider": {user: "auth-provider: {name: gcp, config: {cmd-path: touch, cmd-args: " + marker + "}}",
			want: field(user + "auth-provider")},
		"password":   {user: "password: x", want: field(user + "password")},
		"as":         {user: "as: system:admin", want: field(user + "as")},
		"groups":     {user: "as-groups: [system:masters]", want: field(user + "as-groups")},
		"extra":      {user: "as-user-extra: {a: [b]}", want: field(user + "as-user-extra")},
		"unverified": {cluster: "insecure-skip-tls-verify: true", want: field(cluster + "insecure-skip-tls-verify")},
		"proxy":      {cluster: "proxy-url: http://127.0.0.1:1", want: field(cluster + "proxy-url")},
		"plain":      {cluster: "http", want: "clusters[].cluster.server must begin with https://"},
	}
	for when, path := range map[string]string{"there": file, "absent": noFile} {
		for _, name := range []string{"tokenFile", "client-certificate", "client-key"} {
			out[strings.ToLower(name)+"-"+when] = refusedKubeconfig{user: name + ": " + path, want: field(user + name)}
		}
		out["authority-"+when] = refusedKubeconfig{cluster: "certificate-authority: " + path,
			want: field(cluster + "certificate-authority")}
	}
	return out
}

func (r refusedKubeconfig) write(good string) string {
	if r.cluster == "http" {
		return strings.Replace(good, "server: https://", "server: http://", 1)
	}
	if r.cluster != "" {
		return strings.Replace(good, "    server: ", "    "+r.cluster+"\n    server: ", 1)
	}
	return strings.Replace(good, "    token: ", "    "+r.user+"\n    token: ", 1)
}

// TestRefusedKubeconfigs verifies that KubeVision rejects a kubeconfig that would run a program, read a file,
// impersonate a user, or disable TLS verification:
//   - The API does not register a cluster with this kubeconfig.
//   - If a cluster is registered with kubectl, the controllers report the reason in its status.
//   - KubeVision sends no request to the server in the kubeconfig.
func TestRefusedKubeconfigs(t *testing.T) {
	s := newStandin(t)
	text, err := localcluster.Kubeconfig(s.config(registeredToken))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	marker, file := filepath.Join(dir, "marker"), filepath.Join(dir, "there")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := refusedKubeconfigs(marker, file, filepath.Join(dir, "absent"))
	p := login(t, "registrar")
	set().HostCluster(t, "host")
	set().Bind(t, "registrar", fixture.Grant{Role: kubevisionv1alpha1.RoleAdmin,
		Subjects: fixture.KubeVisionUsers(p.User)})
	for name, r := range all {
		t.Run("API/"+name, func(t *testing.T) { refusedByAPI(t, p, r.write(string(text)), r.want) })
	}
	registered := applied(t, all, string(text))
	for name, r := range all {
		t.Run("kubectl/"+name, func(t *testing.T) {
			c := registered[name]
			condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionFalse,
				kubevisionv1alpha1.ReasonSecretInvalid)
			condition(t, c, fixture.Patience, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse,
				kubevisionv1alpha1.ReasonSecretInvalid)
			if got, want := c.Status.Conditions[0].Message, "key kubeconfig of Secret "+c.Name+": "+
				r.want; got != want {
				t.Errorf("the status contains %q, want %q", got, want)
			}
			p.becomes(t, fixture.Patience, c.Name, "/namespaces/default/resources/pods", wire.Unreachable)
		})
	}
	if _, err := os.Stat(marker); !os.IsNotExist(err) {
		t.Errorf("the program was run: %v", err)
	}
	if n := len(s.of("")); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func refusedByAPI(t *testing.T, p *person, kubeconfig, want string) {
	t.Helper()
	name := fixture.Name("refused")
	body, err := json.Marshal(map[string]string{"name": name, "authType": "kubeconfig", "kubeconfig": kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	e := p.client.Call(t, wire.Request{Method: "POST", Path: wire.DirectPath + "/clusters", Bearer: p.token,
		Body: string(body)})
	e.Want(t, wire.Invalid)
	if e.Message != want || e.Meta.Field != "kubeconfig" || string(e.Data) != "null" {
		t.Errorf("the response is %s, want %q for kubeconfig", e.Raw, want)
	}
	c := &kubevisionv1alpha1.KubeVisionCluster{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Name: name}, c); client.IgnoreNotFound(err) != nil ||
		err == nil {
		t.Errorf("the cluster was registered (%v)", err)
	}
}

// applied registers a cluster with "kubectl apply" for each kubeconfig.
func applied(
	t *testing.T, all map[string]refusedKubeconfig, good string,
) map[string]*kubevisionv1alpha1.KubeVisionCluster {
	t.Helper()
	out := map[string]*kubevisionv1alpha1.KubeVisionCluster{}
	var manifests []string
	for name, r := range all {
		c := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name(name)}}
		out[name] = c
		manifests = append(manifests, fmt.Sprintf(`apiVersion: v1
kind: Secret
metadata: {namespace: %s, name: %s}
stringData:
  kubeconfig: %q
---
apiVersion: kubevision.io/v1alpha1
kind: KubeVisionCluster
metadata: {name: %[2]s}
spec: {kubeconfigSecretRef: {name: %[2]s}}
`, fixture.SystemNamespace, c.Name, r.write(good)))
	}
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	if err := os.WriteFile(path, []byte(strings.Join(manifests, "---\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range out {
			unregister(t, c)
		}
	})
	if _, err := env.Cluster.Kubectl(t.Context(), "apply", "-f", path); err != nil {
		t.Fatal(err)
	}
	return out
}
