// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"errors"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestMemberAccess verifies that a user with the role dev in one namespace of a member has the rights that the RBAC of
// the member grants, and that responses reveal nothing about other namespaces.
func TestMemberAccess(t *testing.T) {
	member := theOther(t)
	c := register(t, member.Config(), nil)
	ready(t, c)
	if c.Status.Version == "" || c.Status.ClusterID == "" || c.Status.Nodes == nil ||
		c.Status.CredentialsExpirationTime == nil ||
		c.Status.APIServer != member.Config().Host {
		t.Errorf("the status is incomplete: %+v", c.Status)
	}
	mine, others := member.set().Namespace(t, "mine"), member.set().Namespace(t, "others")
	member.set().Pod(t, mine, "web")
	p, stranger := login(t, "dev"), login(t, "stranger")
	b := set().Bind(t, "dev", fixture.Grant{
		Role: kubevisionv1alpha1.RoleDev, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name,
		Namespaces: []string{mine},
	})
	for path, want := range map[string]int{
		"/namespaces/" + mine + "/resources/pods":         wire.OK,
		"/namespaces/" + mine + "/resources/pods/web":     wire.OK,
		"/namespaces/" + mine + "/resources/secrets":      wire.OK, // the role edit of the cluster grants it
		"/namespaces/" + mine + "/resources/pods/none":    wire.NotFound,
		"/namespaces/" + mine + "/resources/rolebindings": wire.Forbidden,
		"/namespaces/" + others + "/resources/pods":       wire.NamespaceForbidden,
		"/namespaces/" + mine + "-none/resources/pods":    wire.NamespaceForbidden,
		"/namespaces/" + others + "/resources/pods/web":   wire.NamespaceForbidden,
		"/resources/nodes": wire.Forbidden,
		"/namespaces/" + mine + "/resources/doesnotexist":         wire.NotFound,
		"/namespaces/kubevision-system/resources/serviceaccounts": wire.NamespaceForbidden,
	} {
		if code := p.code(t, c.Name, path); code != want {
			t.Errorf("%s: code %d, want %d", path, code, want)
		}
	}
	for _, name := range []string{c.Name, c.Name + "-none"} {
		if code := stranger.code(t, name, "/namespaces/"+mine+"/resources/pods"); code != wire.ClusterForbidden {
			t.Errorf("an unbound user on cluster %s: code %d", name, code)
		}
	}
	// The registered account does not have the rights that the dashboard's users have on the member.
	account := &corev1.ServiceAccount{}
	if err := member.admin.Get(t.Context(),
		types.NamespacedName{Namespace: fixture.SystemNamespace, Name: "kubevision-impersonator"},
		account); err != nil {
		t.Errorf("the account that acts for users: %v", err)
	}
	set().Delete(t, b)
	p.becomes(t, repairTime, c.Name, "/namespaces/"+mine+"/resources/pods", wire.ClusterForbidden)
	found := &rbacv1.RoleBinding{}
	set().Gone(t, b)
	if err := member.admin.Get(t.Context(), client.ObjectKey{Namespace: mine, Name: "kubevision:binding:" + b.Name},
		found); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("the RoleBinding is left: %v", err)
	}
}

// TestMemberDrift verifies that the objects of a binding on a member are restored after manual changes, and that access
// is denied while they are missing.
func TestMemberDrift(t *testing.T) {
	member := theOther(t)
	c := register(t, member.Config(), nil)
	ready(t, c)
	ns := member.set().Namespace(t, "drift")
	p := login(t, "drift")
	b := set().Bind(t, "drift", fixture.Grant{
		Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name,
		Namespaces: []string{ns},
	})
	path := "/namespaces/" + ns + "/resources/pods"
	if code := p.code(t, c.Name, path); code != wire.OK {
		t.Fatalf("code %d", code)
	}
	granted := &rbacv1.RoleBinding{}
	granted.Namespace, granted.Name = ns, "kubevision:binding:"+b.Name
	for name, o := range map[string]client.Object{
		"grant":                  granted,
		"role":                   named(&rbacv1.ClusterRole{}, "", "kubevision:readonly"),
		"impersonator's binding": named(&rbacv1.ClusterRoleBinding{}, "", "kubevision-impersonator"),
		"impersonator":           named(&corev1.ServiceAccount{}, fixture.SystemNamespace, "kubevision-impersonator"),
	} {
		t.Run(name, func(t *testing.T) {
			key := client.ObjectKeyFromObject(o)
			if err := member.admin.Get(t.Context(), key, o); err != nil {
				t.Fatal(err)
			}
			gone := o.GetUID()
			member.set().Delete(t, o)
			if err := localcluster.Poll(t.Context(), repairTime, "wait for the recreation",
				func(ctx context.Context) error {
					if err := member.admin.Get(ctx, key, o); err != nil {
						return fmt.Errorf("reading it: %w", err)
					}
					if o.GetUID() == gone {
						return errors.New("it is the old one")
					}
					return nil
				}); err != nil {
				t.Fatal(err)
			}
			p.becomes(t, repairTime, c.Name, path, wire.OK)
		})
	}
}

func named(o client.Object, namespace, name string) client.Object {
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}
