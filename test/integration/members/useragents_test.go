// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/identity"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type auditEvent struct {
	Verb             string `json:"verb"`
	UserAgent        string `json:"userAgent"`
	RequestURI       string `json:"requestURI"`
	ImpersonatedUser struct {
		Username string `json:"username"`
	} `json:"impersonatedUser"`
}

// audited returns the entries of a cluster's audit log for requests of the impersonating account.
func audited(t *testing.T, c *localcluster.Cluster) []auditEvent {
	t.Helper()
	file, err := os.Open(c.AuditLog())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var out []auditEvent
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err == nil { // the last line may be incomplete
			out = append(out, e)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func managers(t *testing.T, c client.Client, o client.Object) []string {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, entry := range o.GetManagedFields() {
		if !strings.HasPrefix(entry.Manager, "kube-controller-manager") {
			found[entry.Manager] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// TestClustersKnowWhoWrites verifies that each write of a user has the field manager kubevision on each cluster, and
// that the audit log contains the client and the user.
func TestClustersKnowWhoWrites(t *testing.T) {
	const host = "host"
	set().HostCluster(t, host)
	member := theOther(t)
	c := register(t, member.Config(), nil)
	ready(t, c)
	for _, tc := range []struct {
		cluster string
		plane   *localcluster.Cluster
		admin   client.Client
	}{{host, env.Cluster, env.Client}, {c.Name, member.Cluster, member.admin}} {
		t.Run(tc.cluster, func(t *testing.T) {
			p := login(t, "writer")
			set().Bind(t, "writer", fixture.Grant{Role: kubevisionv1alpha1.RoleAdmin,
				Subjects: fixture.KubeVisionUsers(p.User), Cluster: tc.cluster})
			on := fixture.Set{Client: tc.admin}
			ns := on.Namespace(t, "writer")
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("node")}}
			on.Later(t, node)
			writeEverything(t, p, tc.cluster, ns, node.Name)
			for _, o := range []client.Object{
				&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"}}, node,
			} {
				if got := managers(t, tc.admin, o); !slices.Equal(got, []string{"kubevision"}) {
					t.Errorf("the field managers of %T are %q", o, got)
				}
			}
			seen := 0
			for _, e := range audited(t, tc.plane) {
				switch {
				case e.ImpersonatedUser.Username != identity.UserName(p.Name):
					if e.UserAgent == "" || strings.HasPrefix(e.UserAgent, "Go-http-client") {
						t.Errorf("%s %s has the user agent %q", e.Verb, e.RequestURI, e.UserAgent)
					}
				case !strings.HasPrefix(e.UserAgent, "kubevision/"):
					t.Errorf("%s %s of the user has the user agent %q", e.Verb, e.RequestURI, e.UserAgent)
				case e.Verb == "patch" || e.Verb == "create" || e.Verb == "update":
					seen++
				}
			}
			if seen < 8 {
				t.Errorf("%d writes of the user are in the audit log", seen)
			}
		})
	}
}

// writeEverything changes objects with each endpoint that writes.
func writeEverything(t *testing.T, p *person, cluster, ns, node string) {
	t.Helper()
	base := wire.DirectPath + "/clusters/" + cluster
	web := base + "/namespaces/" + ns + "/deployments/web"
	const (
		jsonType = "application/json"
		template = `{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"main","image":"web:%d"}]}}`
	)
	deployment := func(image int) string {
		return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":0,
			"selector":{"matchLabels":{"app":"web"}},"template":`+template+`}}`, image)
	}
	object := base + "/namespaces/" + ns + "/resources/deployments"
	for _, w := range []struct{ method, path, contentType, body string }{
		{http.MethodPost, base + "/resources/nodes", jsonType,
			`{"apiVersion":"v1","kind":"Node","metadata":{"name":"` + node + `","labels":{"a":"b"}}}`},
		{http.MethodPost, base + "/resources/nodes/" + node + "/cordon", "", ""},
		{http.MethodPost, base + "/resources/nodes/" + node + "/uncordon", "", ""},
		{http.MethodPost, object, jsonType, deployment(1)},
		{http.MethodPatch, object + "/web", "application/apply-patch+yaml",
			`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"labels":{"a":"b"}}}`},
		{http.MethodPatch, object + "/web", "application/merge-patch+json",
			`{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":5}}}}`},
		{http.MethodPut, web + "/scale", jsonType, `{"replicas":1}`},
		{http.MethodPost, web + "/restart", "", ""},
		{http.MethodPost, base + "/batch-restart", jsonType,
			`[{"kind":"deployments","namespace":"` + ns + `","name":"web"}]`},
	} {
		r := wire.Request{Method: w.method, Path: w.path, Bearer: p.token, Body: w.body}
		if w.contentType != "" {
			r.Header = http.Header{"Content-Type": {w.contentType}}
		}
		p.client.Call(t, r).Want(t, wire.OK)
	}
	history := wire.Request{Path: web + "/history", Bearer: p.token}
	fixture.Eventually(t, "wait for a revision to go back to", func(context.Context) error {
		var revisions []any
		p.client.Call(t, history).Want(t, wire.OK).Into(t, &revisions)
		if len(revisions) < 2 {
			return fmt.Errorf("there are %d", len(revisions))
		}
		return nil
	})
	p.client.Call(t, wire.Request{Method: http.MethodPost, Path: web + "/rollback", Bearer: p.token,
		Body: `{"revision":0}`}).Want(t, wire.OK)
}

// TestFieldManagerOfManagement verifies that the endpoints for users and role bindings write objects with the field
// manager "kubevision".
func TestFieldManagerOfManagement(t *testing.T) {
	const host = "host"
	set().HostCluster(t, host)
	p := login(t, "manager")
	set().Bind(t, "manager", fixture.Grant{Role: kubevisionv1alpha1.RoleAdmin,
		Subjects: fixture.KubeVisionUsers(p.User), Cluster: host})
	name := fixture.Name("managed")
	user := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: name}}
	set().Later(t, user)
	call := func(method, path, body string) {
		t.Helper()
		p.client.Call(t, wire.Request{Method: method, Path: wire.DirectPath + path, Bearer: p.token,
			Body: body}).Want(t, wire.OK)
	}
	call(http.MethodPost, "/users", `{"username":"`+name+`","password":"lamp orbit walnut seldom","role":"viewer"}`)
	call(http.MethodPut, "/users/"+name, `{"displayName":"Managed","role":"editor"}`)
	call(http.MethodPut, "/users/"+name+"/reset-password", `{"newPassword":"seldom walnut orbit lamp"}`)
	call(http.MethodPost, "/role-bindings", `{"name":"`+name+`","subjects":[{"kind":"KubeVisionGroup","name":"g"}],
		"roleRef":{"name":"readonly"},"clusters":{"names":["host"]}}`)
	binding := &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	set().Later(t, binding)
	for _, o := range []client.Object{
		user, binding, &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "user-" + name}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace, Name: name + "-password"}},
	} {
		got := slices.DeleteFunc(managers(t, env.Client, o),
			func(m string) bool { return m == "kubevision-controller-manager" })
		if !slices.Equal(got, []string{"kubevision"}) {
			t.Errorf("the field managers of %T %s are %q", o, o.GetName(), got)
		}
	}
}
