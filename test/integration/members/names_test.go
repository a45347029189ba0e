// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestNamesOfTheHostAreNotThoseOfAMember verifies that KubeVision does not confuse ServiceAccounts with the same name
// in two clusters. A ServiceAccount of the cluster on which KubeVision runs must not get the rights of a ServiceAccount
// of a registered cluster.
func TestNamesOfTheHostAreNotThoseOfAMember(t *testing.T) {
	member := theOther(t)
	c := register(t, member.Config(), nil)
	ready(t, c)
	for name, subject := range map[string]func(a *corev1.ServiceAccount) kubevisionv1alpha1.Subject{
		"ServiceAccount": func(a *corev1.ServiceAccount) kubevisionv1alpha1.Subject {
			return kubevisionv1alpha1.Subject{
				Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: a.Namespace, Name: a.Name,
			}
		},
		"Group": func(a *corev1.ServiceAccount) kubevisionv1alpha1.Subject {
			group := "system:serviceaccounts:" + a.Namespace
			return kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectGroup, Name: group}
		},
	} {
		t.Run(name, func(t *testing.T) {
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: set().Namespace(t, "twin"),
				Name: "bot"}}
			set().Create(t, account)
			grantClusterAdmin(t, member, account)
			set().Bind(t, "twin", fixture.Grant{
				Role: kubevisionv1alpha1.RoleReadonly, Cluster: c.Name,
				Subjects: []kubevisionv1alpha1.Subject{subject(account)},
			})
			config := rest.AnonymousClientConfig(env.Cluster.Config())
			config.BearerToken = tokenOf(t, env.Cluster.Config(), account)
			client, err := wire.ForConfig(config)
			if err != nil {
				t.Fatal(err)
			}
			path := wire.GroupPath + "/clusters/" + c.Name + "/namespaces/kube-system/resources/"
			fixture.Eventually(t, "list ConfigMaps by the binding", func(ctx context.Context) error {
				if code := codeOf(ctx, t, client, path+"configmaps"); code != wire.OK {
					return fmt.Errorf("code %d", code)
				}
				return nil
			})
			if code := codeOf(t.Context(), t, client, path+"secrets"); code != wire.Forbidden {
				t.Errorf("the list of Secrets has code %d", code)
			}
		})
	}
}

func grantClusterAdmin(tb testing.TB, member *plane, account *corev1.ServiceAccount) {
	tb.Helper()
	member.set().Create(tb, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: account.Namespace}})
	member.set().Create(tb, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: account.Namespace,
		Name: account.Name}})
	member.set().Create(tb, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account.Namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{
			{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name},
			{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:serviceaccounts:" + account.Namespace},
		},
	})
}

func codeOf(ctx context.Context, tb testing.TB, client *wire.Client, path string) int {
	tb.Helper()
	response, err := client.Do(ctx, wire.Request{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	e, err := response.Parse()
	if err != nil {
		tb.Fatalf("%v: %.600q", err, response.Body)
	}
	return e.Code
}
