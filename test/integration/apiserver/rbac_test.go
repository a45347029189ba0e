// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

const system = "kubevision-system"

func may(t *testing.T, account string, a authorizationv1.ResourceAttributes) bool {
	t.Helper()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: "system:serviceaccount:" + system + ":" + account,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + system,
			"system:authenticated"},
		ResourceAttributes: &a,
	}}
	if err := env.Client.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

func allowed(t *testing.T, account string, a authorizationv1.ResourceAttributes) func(context.Context) error {
	return func(context.Context) error {
		if !may(t, account, a) {
			return fmt.Errorf("%s may not %s %s %s", account, a.Verb, a.Resource, a.Name)
		}
		return nil
	}
}

// rules returns the rights that a ServiceAccount of kubevision-system has in the given namespace. It omits rights that
// all ServiceAccounts have.
func rules(t *testing.T, account, namespace string) []authorizationv1.ResourceRule {
	t.Helper()
	config, err := env.Cluster.ServiceAccountConfig(t.Context(), system, account)
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	review, err := kube.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(),
		&authorizationv1.SelfSubjectRulesReview{
			Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace},
		}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(review.Status.ResourceRules, func(r authorizationv1.ResourceRule) bool {
		group := strings.Join(r.APIGroups, ",")
		return group == "authorization.k8s.io" || group == "authentication.k8s.io" || group == "dashboard.kubevision.io"
	})
}

// TestTheImpersonator verifies that the impersonator may impersonate the subjects of bindings, and has no other rights.
func TestTheImpersonator(t *testing.T) {
	const account = "kubevision-impersonator"
	a := newActor(t, "readonly", set().Namespace(t, "impersonated"))
	group, account2, namespace := fixture.Name("group"), fixture.Name("account"), set().Namespace(t, "accounts")
	set().Bind(t, "impersonated", fixture.Grant{Role: "readonly", Cluster: host, Subjects: []kubevisionv1alpha1.Subject{
		{Kind: kubevisionv1alpha1.SubjectGroup, Name: group},
		{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: namespace, Name: account2},
	}})
	impersonate := func(group, resource, namespace, name string) authorizationv1.ResourceAttributes {
		return authorizationv1.ResourceAttributes{Group: group, Verb: "impersonate", Resource: resource,
			Namespace: namespace, Name: name}
	}
	for name, wanted := range map[string]authorizationv1.ResourceAttributes{
		"the user":           impersonate("", "users", "", "kubevision:"+a.Name),
		"the group":          impersonate("", "groups", "", group),
		"the ServiceAccount": impersonate("", "serviceaccounts", namespace, account2),
	} {
		fixture.Eventually(t, "wait until the impersonator may act for "+name, allowed(t, account, wanted))
	}
	for name, forbidden := range map[string]authorizationv1.ResourceAttributes{
		"any user":                   impersonate("", "users", "", ""),
		"an administrator":           impersonate("", "users", "", "kubernetes-admin"),
		"system:admin":               impersonate("", "users", "", "system:admin"),
		"a user without bindings":    impersonate("", "users", "", "kubevision:"+fixture.Name("nobody")),
		"the controllers":            impersonate("", "users", "", "system:kube-controller-manager"),
		"any group":                  impersonate("", "groups", "", ""),
		"system:masters":             impersonate("", "groups", "", "system:masters"),
		"system:nodes":               impersonate("", "groups", "", "system:nodes"),
		"any ServiceAccount":         impersonate("", "serviceaccounts", "", ""),
		"ServiceAccounts there":      impersonate("", "serviceaccounts", namespace, ""),
		"that name in another place": impersonate("", "serviceaccounts", system, account2),
		"our own account":            impersonate("", "serviceaccounts", system, "kubevision-controller-manager"),
		"a UID":                      impersonate("authentication.k8s.io", "uids", "", "x"),
		"an extra":                   impersonate("authentication.k8s.io", "userextras", "", "x"),
		"reading Pods":               {Verb: "list", Resource: "pods"},
		"reading Secrets":            {Verb: "get", Resource: "secrets", Namespace: system},
		"binding roles":              {Group: rbacv1.GroupName, Verb: "bind", Resource: "clusterroles"},
		"using a cluster":            {Group: "kubevision.io", Verb: "use", Resource: "kubevisionclusters", Name: host},
		"a token of another account": {Verb: "create", Resource: "serviceaccounts", Subresource: "token",
			Namespace: system},
		"everything":              {Group: "*", Verb: "*", Resource: "*"},
		"reading KubeVisionUsers": {Group: "kubevision.io", Verb: "list", Resource: "kubevisionusers"},
		"a node proxy":            {Verb: "get", Resource: "nodes", Subresource: "proxy"},
		"approving certificates": {Group: "certificates.k8s.io", Verb: "update",
			Resource: "certificatesigningrequests", Subresource: "approval"},
		"changing its own role": {Group: rbacv1.GroupName, Verb: "patch", Resource: "clusterroles", Name: account},
	} {
		if may(t, account, forbidden) {
			t.Errorf("the impersonator has the right: %s", name)
		}
	}
	for _, in := range []string{"default", system, namespace} {
		for _, r := range rules(t, account, in) {
			if !slices.Equal(r.Verbs, []string{"impersonate"}) || len(r.ResourceNames) == 0 ||
				slices.Contains(r.ResourceNames, "system:masters") ||
				!slices.Equal(r.APIGroups, []string{""}) || slices.Contains(r.Resources, "*") ||
				slices.Contains(r.ResourceNames, "*") {
				t.Errorf("in %s the impersonator has the right %+v", in, r)
			}
		}
	}
}

// TestTheServersAccount verifies that the server's account has the rights that authentication requires, and that it can
// neither impersonate users, nor grant rights, nor access Secrets of other namespaces.
func TestTheServersAccount(t *testing.T) {
	const account = "kubevision-apiserver"
	for name, forbidden := range map[string]authorizationv1.ResourceAttributes{
		"Secrets of a namespace":     {Verb: "get", Resource: "secrets", Namespace: "default"},
		"Secrets of kube-system":     {Verb: "get", Resource: "secrets", Namespace: "kube-system"},
		"all Secrets":                {Verb: "list", Resource: "secrets"},
		"making Secrets elsewhere":   {Verb: "create", Resource: "secrets", Namespace: "default"},
		"changing Secrets elsewhere": {Verb: "update", Resource: "secrets", Namespace: "kube-system"},
		"impersonating users":        {Verb: "impersonate", Resource: "users", Name: "x"},
		"impersonating groups":       {Verb: "impersonate", Resource: "groups", Name: "system:masters"},
		"impersonating ServiceAccounts": {Verb: "impersonate", Resource: "serviceaccounts", Namespace: "default",
			Name: "default"},
		"making ClusterRoleBindings": {Group: rbacv1.GroupName, Verb: "create", Resource: "clusterrolebindings"},
		"making RoleBindings": {Group: rbacv1.GroupName, Verb: "create", Resource: "rolebindings",
			Namespace: system},
		"changing ClusterRoles": {Group: rbacv1.GroupName, Verb: "patch", Resource: "clusterroles"},
		"binding":               {Group: rbacv1.GroupName, Verb: "bind", Resource: "clusterroles"},
		"escalating":            {Group: rbacv1.GroupName, Verb: "escalate", Resource: "clusterroles"},
		"making KubeVisionRoleBindings": {Group: "kubevision.io", Verb: "create",
			Resource: "kubevisionrolebindings"},
		"changing KubeVisionUsers": {Group: "kubevision.io", Verb: "update", Resource: "kubevisionusers"},
		"tokens of the controller manager": {Verb: "create", Resource: "serviceaccounts", Subresource: "token",
			Namespace: system, Name: "kubevision-controller-manager"},
		"tokens of any account": {Verb: "create", Resource: "serviceaccounts", Subresource: "token",
			Namespace: "kube-system", Name: "default"},
		"Pods":        {Verb: "list", Resource: "pods"},
		"exec":        {Verb: "create", Resource: "pods", Subresource: "exec", Namespace: system},
		"making Pods": {Verb: "create", Resource: "pods", Namespace: system},
	} {
		if may(t, account, forbidden) {
			t.Errorf("the server's account has the right: %s", name)
		}
	}
	if !may(t, account, authorizationv1.ResourceAttributes{Verb: "get", Resource: "secrets", Namespace: system,
		Name: "x"}) {
		t.Error("the server's account may not get Secrets in its own namespace")
	}
}

// TestNobodyHasOurObjects verifies that users have no rights on KubeVision's objects by default.
func TestNobodyHasOurObjects(t *testing.T) {
	a := newActor(t, "admin", set().Namespace(t, "mine"))
	for _, resource := range []string{"kubevisionusers", "kubevisionclusters", "kubevisionrolebindings",
		"kubevisionsessions"} {
		for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete",
			"deletecollection"} {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "kubevision:" + a.Name, Groups: []string{"kubevision:users", "system:authenticated"},
				ResourceAttributes: &authorizationv1.ResourceAttributes{Group: "kubevision.io", Resource: resource,
					Verb: verb},
			}}
			if err := env.Client.Create(t.Context(), review); err != nil {
				t.Fatal(err)
			}
			if review.Status.Allowed {
				t.Errorf("a plain user may %s %s", verb, resource)
			}
		}
	}
	var bindings rbacv1.ClusterRoleBindingList
	if err := env.Client.List(t.Context(), &bindings); err != nil {
		t.Fatal(err)
	}
	for i := range bindings.Items {
		for _, s := range bindings.Items[i].Subjects {
			if s.Name == "kubevision-impersonator" && bindings.Items[i].Name != "kubevision-impersonator" {
				t.Errorf("ClusterRoleBinding %s gives the impersonator more", bindings.Items[i].Name)
			}
		}
	}
}
