// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const myAccess = me + "/access"

func (a actor) asks(path string) wire.Request {
	return wire.Request{Path: wire.DirectPath + path, Bearer: a.AccessToken}
}

func accessOf(tb testing.TB, a actor, query string) []dashboardv1alpha1.ClusterAccess {
	tb.Helper()
	var data dashboardv1alpha1.Access
	direct(tb).Call(tb, a.asks(myAccess+query)).Want(tb, wire.OK).Into(tb, &data)
	return data.Clusters
}

func awaitAccess(tb testing.TB, a actor, roles []string, namespaces ...string) {
	tb.Helper()
	slices.Sort(namespaces)
	want := []dashboardv1alpha1.ClusterAccess{{ID: host, Name: host, Status: "reachable", Roles: roles,
		Namespaces: append([]string{}, namespaces...)}}
	fixture.Eventually(tb, "wait for the access of "+a.Name, func(context.Context) error {
		if diff := cmp.Diff(want, accessOf(tb, a, "?cluster="+host)); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
}

// TestAccessOfTwo verifies that two users see only their own namespaces, and cannot detect whether other namespaces
// exist.
func TestAccessOfTwo(t *testing.T) {
	first, second := set().Namespace(t, "first"), set().Namespace(t, "second")
	one, two := newActor(t, "readonly", first), newActor(t, "dev", second)
	remote := set().RemoteCluster(t, "remote")
	set().Bind(t, "remote", fixture.Grant{Role: "ops", Subjects: fixture.KubeVisionUsers(one.User), Cluster: remote,
		Unconnected: true})
	becomes(t, direct(t), wire.Unreachable, one.asks("/clusters/"+remote+"/resources/pods"))

	// A namespace that a binding names and that does not exist is not listed.
	missing := fixture.Name("missing")
	set().Bind(t, "missing", fixture.Grant{
		Role: "readonly", Subjects: fixture.KubeVisionUsers(one.User, two.User), Cluster: host,
		Namespaces: []string{missing}, Unconnected: true,
	})
	awaitAccess(t, one, []string{"readonly"}, first)
	awaitAccess(t, two, []string{"dev", "readonly"}, second)

	begun := time.Now()
	got := accessOf(t, one, "")
	if took := time.Since(begun); took > time.Second {
		t.Errorf("a disconnected cluster delayed the response to %s", took)
	}
	want := []dashboardv1alpha1.ClusterAccess{
		{ID: host, Name: host, Status: "reachable", Roles: []string{"readonly"}, Namespaces: []string{first}},
		{ID: remote, Name: remote, Status: "unreachable", Roles: []string{"ops"}, Namespaces: []string{}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("first user (-want +got):\n%s", diff)
	}
	text := string(direct(t).Call(t, two.asks(myAccess)).Want(t, wire.OK).Data)
	for _, foreign := range []string{first, remote, missing} {
		if strings.Contains(text, foreign) {
			t.Errorf("the second sees %s: %s", foreign, text)
		}
	}

	// The response does not reveal whether a cluster exists.
	nowhere := fixture.Name("remote")
	existing := direct(t).Call(t, two.asks(myAccess+"?cluster="+remote)).Want(t, wire.ClusterForbidden).Message
	absent := direct(t).Call(t, two.asks(myAccess+"?cluster="+nowhere)).Want(t, wire.ClusterForbidden).Message
	if strings.ReplaceAll(existing, remote, nowhere) != absent {
		t.Errorf("for an existing cluster %q, for a missing one %q", existing, absent)
	}
	direct(t).Call(t, two.asks(myAccess+"?cluster=")).Want(t, wire.Required)
	direct(t).Call(t, two.asks(myAccess+"?cluster=a%2fb")).Want(t, wire.Invalid)
	direct(t).Call(t, wire.Request{Path: wire.DirectPath + myAccess}).Want(t, wire.Unauthenticated)
}

// TestAccessByLabel verifies that /users/me/access lists a namespace whose labels match the selector of a
// KubeVisionRoleBinding. The user loses access when the KubeVisionRoleBinding is deleted.
func TestAccessByLabel(t *testing.T) {
	a := newActor(t, "")
	if got := accessOf(t, a, ""); len(got) != 0 {
		t.Errorf("a user without bindings has access to %+v", got)
	}
	team := fixture.Name("team")
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("label")},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			Subjects: fixture.KubeVisionUsers(a.User),
			RoleRef:  kubevisionv1alpha1.RoleReference{Name: "dev"},
			Clusters: kubevisionv1alpha1.ClusterTargets{Names: []string{host}},
			Namespaces: &kubevisionv1alpha1.NamespaceTargets{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": team}}},
		},
	}
	set().Create(t, b)
	becomes(t, direct(t), wire.OK, a.asks(myAccess+"?cluster="+host))
	awaitAccess(t, a, []string{"dev"})
	labelled := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("labelled"),
		Labels: map[string]string{"team": team}}}
	set().Create(t, labelled)
	awaitAccess(t, a, []string{"dev"}, labelled.Name)
	set().Delete(t, b)
	becomes(t, direct(t), wire.ClusterForbidden, a.asks(myAccess+"?cluster="+host))
}

// TestAccessToAllNamespaces verifies that GET /users/me/access reports allNamespaces as true for a user who may list
// namespaces.
func TestAccessToAllNamespaces(t *testing.T) {
	a := newActor(t, "readonly")
	made := set().Namespace(t, "made")
	fixture.Eventually(t, "wait for all namespaces", func(context.Context) error {
		got := accessOf(t, a, "")
		if len(got) != 1 || !got[0].AllNamespaces || !slices.Contains(got[0].Namespaces, made) ||
			!slices.Contains(got[0].Namespaces, "kube-system") {
			return fmt.Errorf("got %+v", got)
		}
		return nil
	})
}
