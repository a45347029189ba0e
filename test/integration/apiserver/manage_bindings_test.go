// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type shownBinding struct {
	ID              string            `json:"id"`
	RoleRef         map[string]string `json:"roleRef"`
	Subjects        []map[string]string
	Namespaces      map[string][]string `json:"namespaces"`
	ResourceVersion string              `json:"resourceVersion"`
	Status          struct {
		Ready      bool               `json:"ready"`
		Conditions []metav1.Condition `json:"conditions"`
		Clusters   []struct {
			Name       string   `json:"name"`
			Status     string   `json:"status"`
			Namespaces []string `json:"namespaces"`
		} `json:"clusters"`
	} `json:"status"`
}

func TestRoleBindings(t *testing.T) {
	set().HostCluster(t, host)
	c, a, u := direct(t), newActor(t, "admin"), newActor(t, "")
	name := fixture.Name("granted")
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	body := bindingBody(name, u.Name)
	for what, w := range map[string]wrongBody{
		"no name":              {fields{"name": nil}, wire.Required, "name"},
		"a bad name":           {fields{"name": "No_Name"}, wire.Invalid, "name"},
		"no subjects":          {fields{"subjects": nil}, wire.Required, "subjects"},
		"a subject of no kind": {fields{"subjects": []fields{{"name": "x"}}}, wire.Required, "subjects[0].kind"},
		"no role":              {fields{"roleRef": nil}, wire.Required, "roleRef.name"},
		"no clusters":          {fields{"clusters": nil}, wire.Required, "clusters"},
		"empty namespaces":     {fields{"namespaces": fields{}}, wire.Required, "namespaces"},
		"both ways": {fields{"clusters": fields{"names": []string{"x"}, "selector": fields{}}},
			wire.Rejected, ""},
		"an unknown kind":  {fields{"subjects": []fields{{"kind": "Cat", "name": "x"}}}, wire.Rejected, ""},
		"an unknown field": {fields{"spec": fields{}}, wire.Invalid, "spec"},
		"a status":         {fields{"status": fields{"ready": true}}, wire.Invalid, "status"},
	} {
		t.Run(what, func(t *testing.T) {
			w.check(t, c.Call(t, as(a.AccessToken, post(t, "/role-bindings", body.with(w.change)))))
			absent(t, b)
		})
	}
	set().Later(t, b)
	path := "/role-bindings/" + name
	var shown shownBinding
	c.Call(t, as(a.AccessToken, post(t, "/role-bindings", body))).Want(t, wire.OK).Into(t, &shown)
	first := shown.ResourceVersion
	c.Call(t, as(a.AccessToken, post(t, "/role-bindings", body))).Want(t, wire.Conflict)
	becomes(t, c, wire.OK, as(u.AccessToken, read(pods("default"))))
	fixture.Eventually(t, "wait for the status of the binding", func(context.Context) error {
		c.Call(t, as(a.AccessToken, read(path))).Want(t, wire.OK).Into(t, &shown)
		if len(shown.Status.Clusters) == 0 || len(shown.Status.Conditions) == 0 {
			return fmt.Errorf("it is %+v", shown.Status)
		}
		return nil
	})
	if shown.ID != name || shown.RoleRef["name"] != "dev" || len(shown.Subjects) != 1 ||
		len(shown.Namespaces["names"]) != 1 || len(shown.Status.Conditions) == 0 ||
		len(shown.Status.Clusters) != 1 || shown.Status.Clusters[0].Name != host {
		t.Errorf("shown as %+v", shown)
	}
	e := c.Call(t, as(a.AccessToken, read("/role-bindings"))).Want(t, wire.OK)
	if e.Meta.Total == nil || *e.Meta.Total < 1 || !strings.Contains(string(e.Data), `"id":"`+name+`"`) {
		t.Errorf("total %v", e.Meta.Total)
	}
	whole := body.with(fields{"name": nil, "namespaces": nil, "roleRef": fields{"name": "readonly"}})
	c.Call(t, as(a.AccessToken, put(t, path, whole.with(fields{"resourceVersion": first})))).Want(t, wire.Stale)
	(wrongBody{nil, wire.Invalid, "name"}).check(t,
		c.Call(t, as(a.AccessToken, put(t, path, whole.with(fields{"name": "other"})))))
	shown = shownBinding{}
	c.Call(t, as(a.AccessToken, put(t, path, whole))).Want(t, wire.OK).Into(t, &shown)
	if shown.RoleRef["name"] != "readonly" || shown.Namespaces != nil {
		t.Errorf("replaced by %+v", shown)
	}
	becomes(t, c, wire.OK, as(u.AccessToken, read(onHost+"/resources/pods")))
	c.Call(t, as(a.AccessToken, remove(path))).Want(t, wire.OK)
	set().Gone(t, b)
	for _, r := range []wire.Request{read(path), remove(path), put(t, path, whole)} {
		c.Call(t, as(a.AccessToken, r)).Want(t, wire.NotFound)
	}
	c.Call(t, as(u.AccessToken, read(pods("default")))).Want(t, wire.ClusterForbidden)
}

// TestNobodyGrantsMoreThanTheyMay verifies that callers of the management endpoints cannot grant roles that they may
// not bind.
func TestNobodyGrantsMoreThanTheyMay(t *testing.T) {
	bind := rule("rbac.authorization.k8s.io", "clusterroles", "bind")
	bind.ResourceNames = []string{"kubevision:dev"}
	c, a := direct(t), newActor(t, role(t, rule("kubevision.io", "kubevisionrolebindings", "*"), bind))
	name := fixture.Name("granted")
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
	set().Later(t, b)
	body := bindingBody(name, a.Name)
	admin := fields{"roleRef": fields{"name": "admin"}}
	c.Call(t, as(a.AccessToken, post(t, "/role-bindings", body.with(admin)))).Want(t, wire.Forbidden)
	absent(t, b)
	c.Call(t, as(a.AccessToken, post(t, "/role-bindings", body))).Want(t, wire.OK)
	c.Call(t, as(a.AccessToken, put(t, "/role-bindings/"+name, body.with(admin).with(fields{"name": nil})))).Want(t,
		wire.Forbidden)
	present(t, b)
	if b.Spec.RoleRef.Name != "dev" {
		t.Errorf("the role binding grants %s", b.Spec.RoleRef.Name)
	}
}

func TestManagedSessions(t *testing.T) {
	c, a, u := direct(t), newActor(t, "admin"), newActor(t, "")
	id := fixture.Take(t, u.AccessToken).Session()
	second := u.User.Login(t, c, wire.DirectPath)
	var all []struct {
		ID      string `json:"id"`
		User    string `json:"user"`
		Address string `json:"address"`
		Current bool   `json:"current"`
	}
	e := c.Call(t, as(a.AccessToken, read("/sessions?user="+u.Name))).Want(t, wire.OK)
	e.Into(t, &all)
	if len(all) != 2 || *e.Meta.Total != 2 || all[0].User != u.Name || all[0].Address == "" || all[0].Current {
		t.Errorf("the sessions are %+v", all)
	}
	e = c.Call(t, as(a.AccessToken, read("/sessions?user="+fixture.Name("nobody")))).Want(t, wire.OK)
	if string(e.Data) != "[]" || e.Meta.Total == nil || *e.Meta.Total != 0 {
		t.Errorf("the sessions without a user are %s", e.Data)
	}
	var stored kubevisionv1alpha1.KubeVisionSession
	stored.Name = id
	present(t, &stored)
	for _, path := range []string{"/sessions", "/sessions/" + id} {
		e := c.Call(t, as(a.AccessToken, read(path))).Want(t, wire.OK)
		text := string(e.Raw)
		if !strings.Contains(text, id) || strings.Contains(text, stored.Spec.RefreshTokenHash) ||
			strings.Contains(strings.ToLower(text), "hash") {
			t.Errorf("%s lacks the session or holds a hash: %s", path, text)
		}
	}
	c.Call(t, as(a.AccessToken, remove("/sessions/"+id))).Want(t, wire.OK)
	dead(t, u.Login, c)
	c.Call(t, whoami(second.AccessToken)).Want(t, wire.OK)
	c.Call(t, as(a.AccessToken, read("/sessions/"+id))).Want(t, wire.NotFound)
	c.Call(t, as(a.AccessToken, remove("/sessions/"+id))).Want(t, wire.NotFound)
	c.Call(t, as(a.AccessToken, post(t, "/sessions", fields{"user": u.Name}))).Want(t, wire.NotFound)
}
