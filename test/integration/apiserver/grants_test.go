// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func pods(namespace string) string { return onHost + "/namespaces/" + namespace + "/resources/pods" }

// TestSubjects verifies the rights of each kind of subject of a KubeVisionRoleBinding. A subject with a role in one
// namespace can list Pods only in this namespace. KubeVision users send the requests directly to kubevision-apiserver.
// The other subjects send the requests through kube-apiserver.
func TestSubjects(t *testing.T) {
	set().HostCluster(t, host)
	own, other := set().Namespace(t, "own"), set().Namespace(t, "other")
	for _, namespace := range []string{own, other} {
		set().Pod(t, namespace, "pod-of-"+namespace)
	}
	named := set().User(t, "named")
	team := fixture.Name("team")
	grouped := set().User(t, "grouped", func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Groups = []string{team} })
	jane, testers, account := fixture.Name("jane"), fixture.Name("testers"), fixture.Name("robot")
	set().Create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: other, Name: account}})
	robot, err := env.Cluster.ServiceAccountConfig(t.Context(), other, account)
	if err != nil {
		t.Fatal(err)
	}
	byToken := func(u fixture.User) func(*testing.T, string) (*wire.Client, wire.Request) {
		token := u.Login(t, direct(t), wire.DirectPath).AccessToken
		return func(t *testing.T, path string) (*wire.Client, wire.Request) {
			return direct(t), wire.Request{Path: wire.DirectPath + path, Bearer: token}
		}
	}
	through := func(client *wire.Client) func(*testing.T, string) (*wire.Client, wire.Request) {
		return func(_ *testing.T, path string) (*wire.Client, wire.Request) {
			return client, wire.Request{Path: wire.GroupPath + path}
		}
	}
	for name, tc := range map[string]struct {
		subjects []kubevisionv1alpha1.Subject
		ask      func(*testing.T, string) (*wire.Client, wire.Request)
	}{
		"KubeVisionUser":  {fixture.KubeVisionUsers(named), byToken(named)},
		"KubeVisionGroup": {subject(kubevisionv1alpha1.SubjectKubeVisionGroup, team), byToken(grouped)},
		"User":            {fixture.KubernetesUsers(jane), through(kube(t, jane))},
		"Group": {subject(kubevisionv1alpha1.SubjectGroup, testers),
			through(kube(t, fixture.Name("anybody"), testers))},
		"ServiceAccount": {
			[]kubevisionv1alpha1.Subject{{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: other,
				Name: account}}, through(wire.Configured(t, robot)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			client, request := tc.ask(t, pods(own))
			client.Call(t, request).Want(t, wire.ClusterForbidden)
			b := set().Bind(t, "subjects",
				fixture.Grant{Role: "readonly", Subjects: tc.subjects, Cluster: host, Namespaces: []string{own}})
			becomes(t, client, wire.OK, request)
			var items []struct {
				Metadata metav1.ObjectMeta `json:"metadata"`
			}
			client.Call(t, request).Into(t, &items)
			if len(items) != 1 || items[0].Metadata.Name != "pod-of-"+own {
				t.Errorf("the Pods are %+v", items)
			}
			_, elsewhere := tc.ask(t, pods(other))
			client.Call(t, elsewhere).Want(t, wire.NamespaceForbidden)
			_, everywhere := tc.ask(t, onHost+"/resources/pods")
			client.Call(t, everywhere).Want(t, wire.OK).Into(t, &items)
			if len(items) != 1 || items[0].Metadata.Name != "pod-of-"+own {
				t.Errorf("of all namespaces, the Pods are %+v", items)
			}
			_, secrets := tc.ask(t, strings.ReplaceAll(pods(own), "/pods", "/secrets"))
			client.Call(t, secrets).Want(t, wire.Forbidden)

			set().Delete(t, b)
			soon(t, client, wire.ClusterForbidden, request)
		})
	}
}

// TestADeletedBindingIsGone verifies that the rights of a deleted KubeVisionRoleBinding end promptly. A second
// KubeVisionRoleBinding still allows the user to use the cluster.
func TestADeletedBindingIsGone(t *testing.T) {
	first, second := set().Namespace(t, "first"), set().Namespace(t, "second")
	a := newActor(t, "readonly", first)
	b := set().Bind(t, "second", fixture.Grant{Role: "readonly", Subjects: fixture.KubeVisionUsers(a.User),
		Cluster: host, Namespaces: []string{second}})
	request := func(namespace string) wire.Request {
		return wire.Request{Path: wire.DirectPath + pods(namespace), Bearer: a.AccessToken}
	}
	becomes(t, direct(t), wire.OK, request(first))
	becomes(t, direct(t), wire.OK, request(second))
	set().Delete(t, b)
	soon(t, direct(t), wire.NamespaceForbidden, request(second))
	for range 10 {
		direct(t).Call(t, request(second)).Want(t, wire.NamespaceForbidden)
		direct(t).Call(t, request(first)).Want(t, wire.OK)
	}
}

// TestTheClustersOwnBindings verifies that a KubeVision user also gets rights from RoleBindings that KubeVision has not
// created.
func TestTheClustersOwnBindings(t *testing.T) {
	own, other := set().Namespace(t, "own"), set().Namespace(t, "byhand")
	team := fixture.Name("team")
	for name, tc := range map[string]struct {
		change  func(*kubevisionv1alpha1.KubeVisionUser)
		subject func(fixture.User) rbacv1.Subject
		bind    func(fixture.User) []kubevisionv1alpha1.Subject
	}{
		"user": {
			func(*kubevisionv1alpha1.KubeVisionUser) {},
			func(u fixture.User) rbacv1.Subject {
				return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: "kubevision:" + u.Name}
			},
			func(u fixture.User) []kubevisionv1alpha1.Subject { return fixture.KubeVisionUsers(u) },
		},
		"group that a binding names": {
			func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Groups = []string{team} },
			func(fixture.User) rbacv1.Subject {
				return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "kubevision:group:" + team}
			},
			func(fixture.User) []kubevisionv1alpha1.Subject {
				return subject(kubevisionv1alpha1.SubjectKubeVisionGroup, team)
			},
		},
		"everybody": {
			func(*kubevisionv1alpha1.KubeVisionUser) {},
			func(fixture.User) rbacv1.Subject {
				return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "system:authenticated"}
			},
			func(u fixture.User) []kubevisionv1alpha1.Subject { return fixture.KubeVisionUsers(u) },
		},
		"all KubeVision users": {
			func(*kubevisionv1alpha1.KubeVisionUser) {},
			func(fixture.User) rbacv1.Subject {
				return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "kubevision:users"}
			},
			func(u fixture.User) []kubevisionv1alpha1.Subject { return fixture.KubeVisionUsers(u) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			set().HostCluster(t, host)
			u := set().User(t, "byhand", tc.change)
			set().Bind(t, "byhand", fixture.Grant{Role: "readonly", Subjects: tc.bind(u), Cluster: host,
				Namespaces: []string{own}})
			token := u.Login(t, direct(t), wire.DirectPath).AccessToken
			request := wire.Request{Path: wire.DirectPath + pods(other), Bearer: token}
			becomes(t, direct(t), wire.NamespaceForbidden, request)
			b := &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: other, Name: fixture.Name("byhand")},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
				Subjects:   []rbacv1.Subject{tc.subject(u)},
			}
			set().Create(t, b)
			soon(t, direct(t), wire.OK, request)
			set().Delete(t, b)
			soon(t, direct(t), wire.NamespaceForbidden, request)
		})
	}
}

// TestAnAdministratorWhomNothingBinds verifies that a member of system:masters cannot list Pods without a
// KubeVisionRoleBinding. The error message explains that a binding is missing.
func TestAnAdministratorWhomNothingBinds(t *testing.T) {
	set().HostCluster(t, host)
	e := kube(t, fixture.Name("root"), "system:masters").Call(t,
		wire.Request{Path: wire.GroupPath + pods("default")}).Want(t, wire.Forbidden)
	for _, word := range []string{"binding", host} {
		if !strings.Contains(e.Message, word) {
			t.Errorf("the message does not contain %q: %s", word, e.Message)
		}
	}
	a := newActor(t, "")
	direct(t).Call(t, wire.Request{Path: wire.DirectPath + pods("default"), Bearer: a.AccessToken}).Want(t,
		wire.ClusterForbidden)
}
