// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// fields is the body of a request.
type fields map[string]any

// with returns a copy of f that includes the given changes. A nil value removes a field.
func (f fields) with(changes fields) fields {
	out := fields{}
	for _, part := range []fields{f, changes} {
		for k, v := range part {
			if v == nil {
				delete(out, k)
				continue
			}
			out[k] = v
		}
	}
	return out
}

func read(path string) wire.Request { return wire.Request{Path: wire.DirectPath + path} }

func remove(path string) wire.Request {
	return wire.Request{Method: "DELETE", Path: wire.DirectPath + path}
}

type wrongBody struct {
	change fields
	want   int
	field  string
}

func (w wrongBody) check(t *testing.T, e wire.Envelope) {
	t.Helper()
	e.Want(t, w.want)
	if e.Meta.Field != w.field {
		t.Errorf("meta.field is %q, want %q (%s)", e.Meta.Field, w.field, e.Message)
	}
	if string(e.Data) != "null" {
		t.Errorf("data beside an error: %s", e.Data)
	}
}

// absent fails the test if one of the objects exists, and deletes the objects in this case.
func absent(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); !apierrors.IsNotFound(err) {
			t.Errorf("%T %s exists (%v)", o, o.GetName(), err)
			set().Delete(t, o)
		}
	}
}

func present(t *testing.T, o client.Object) {
	t.Helper()
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Errorf("reading %T %s: %v", o, o.GetName(), err)
	}
}

// madeFor returns the objects that the API creates for a user.
func madeFor(
	name string,
) (*kubevisionv1alpha1.KubeVisionUser, *corev1.Secret, *kubevisionv1alpha1.KubeVisionRoleBinding) {
	return &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name + "-password"}},
		&kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "user-" + name}}
}

func writes(t *testing.T, user, cluster, binding, session string) map[string]wire.Request {
	t.Helper()
	return map[string]wire.Request{
		"POST users": post(t, "/users",
			fields{"username": fixture.Name("new"), "password": anotherPassword, "role": "viewer"}),
		"PUT user":            put(t, "/users/"+user, fields{"role": "super-admin", "groups": []string{"x"}}),
		"DELETE user":         remove("/users/" + user),
		"POST clusters":       post(t, "/clusters", fields{"name": fixture.Name("new"), "authType": "in-cluster"}),
		"PUT cluster":         put(t, "/clusters/"+cluster, fields{"displayName": "mine"}),
		"DELETE cluster":      remove("/clusters/" + cluster),
		"POST role-bindings":  post(t, "/role-bindings", bindingBody(fixture.Name("new"), user)),
		"PUT role-binding":    put(t, "/role-bindings/"+binding, bindingBody("", user).with(fields{"name": nil})),
		"DELETE role-binding": remove("/role-bindings/" + binding),
		"DELETE session":      remove("/sessions/" + session),
	}
}

func bindingBody(name, user string) fields {
	return fields{
		"name": name, "roleRef": fields{"name": "dev"}, "subjects": []fields{{"kind": "KubeVisionUser", "name": user}},
		"clusters": fields{"names": []string{host}}, "namespaces": fields{"names": []string{"default"}},
	}
}

// TestManagementIsForManagers verifies that users without management rights cannot change KubeVision's users, clusters,
// role bindings and sessions. The errors do not reveal which of these objects exist.
func TestManagementIsForManagers(t *testing.T) {
	c, victim := direct(t), newActor(t, "readonly")
	session := fixture.Take(t, victim.AccessToken).Session()
	var binding string
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := env.Client.List(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, b := range all.Items {
		if b.Spec.Subjects[0].Name == victim.Name {
			binding = b.Name
		}
	}
	for _, role := range []string{"readonly", "dev"} {
		t.Run(role, func(t *testing.T) {
			a := newActor(t, role)
			for name, r := range writes(t, victim.Name, host, binding, session) {
				if e := c.Call(t, as(a.AccessToken, r)).Want(t, wire.Forbidden); string(e.Data) != "null" {
					t.Errorf("%s: data %s", name, e.Data)
				}
			}
			for name, r := range writes(t, "nobody", host, "nothing", "nothing") {
				t.Log(name)
				c.Call(t, as(a.AccessToken, r)).Want(t, wire.Forbidden)
			}
			c.Call(t, as(a.AccessToken, put(t, "/users/"+a.Name, fields{"role": "super-admin"}))).Want(t,
				wire.Forbidden)
			for _, path := range []string{"/users", "/role-bindings", "/sessions"} {
				c.Call(t, as(a.AccessToken, read(path))).Want(t, wire.Forbidden)
				c.Call(t, as(a.AccessToken, read(path+"/nothing"))).Want(t, wire.Forbidden)
			}
			c.Call(t, as(a.AccessToken, read("/users/"+victim.Name))).Want(t, wire.Forbidden)
			c.Call(t, as(a.AccessToken, read("/role-bindings/"+binding))).Want(t, wire.Forbidden)
			c.Call(t, as(a.AccessToken, read("/sessions/"+session))).Want(t, wire.Forbidden)
		})
	}
	stranger := newActor(t, "")
	for _, name := range []string{host, fixture.Name("none")} {
		for _, r := range []wire.Request{read("/clusters/" + name),
			put(t, "/clusters/"+name, fields{"displayName": "x"}), remove("/clusters/" + name)} {
			c.Call(t, as(stranger.AccessToken, r)).Want(t, wire.ClusterForbidden)
		}
	}
	c.Call(t, whoami(victim.AccessToken)).Want(t, wire.OK)
}

func TestNamesInPaths(t *testing.T) {
	c, a := direct(t), newActor(t, "admin")
	for path, field := range map[string]string{"/users/": "user", "/clusters/": "cluster", "/role-bindings/": "binding",
		"/sessions/": "session"} {
		(wrongBody{want: wire.Invalid, field: field}).check(t, c.Call(t, as(a.AccessToken, read(path+"No_Name"))))
		(wrongBody{want: wire.Invalid, field: field}).check(t, c.Call(t, as(a.AccessToken, remove(path+"No_Name"))))
	}
	c.Call(t, as(a.AccessToken, remove("/users/me"))).Want(t, wire.NotFound)
	c.Call(t, as(a.AccessToken, put(t, "/users/me", fields{"role": "viewer"}))).Want(t, wire.NotFound)
	(wrongBody{want: wire.Invalid, field: "user"}).check(t,
		c.Call(t, as(a.AccessToken, read("/sessions?user=No_Name"))))
}

func awaitGone(t *testing.T, c *wire.Client, code int, r wire.Request) {
	t.Helper()
	fixture.Eventually(t, "wait until no endpoint is at "+r.Path,
		func(ctx context.Context) error { return c.Answers(ctx, code, r) })
}

func labelled(object client.Object, owner string) error {
	if object.GetLabels()["kubevision.io/user"] != owner || len(object.GetOwnerReferences()) != 1 {
		return fmt.Errorf("%T %s has labels %v and owners %v", object, object.GetName(), object.GetLabels(),
			object.GetOwnerReferences())
	}
	if object.GetOwnerReferences()[0].Name != owner {
		return errors.New("the owner is another")
	}
	return nil
}
