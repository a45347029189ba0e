// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

type labelSet = map[string]string

// registrar returns the client of a new user who may write KubeVisionClusters, KubeVisionUsers, namespaces and Secrets.
// The user may also bind the ClusterRoles with the given names.
func registrar(tb testing.TB, roles ...string) client.Client {
	tb.Helper()
	rules := []string{kubevisionv1alpha1.ResourceClusters, kubevisionv1alpha1.ResourceUsers}
	written := everything("", "secrets", "namespaces", "namespaces/status")
	written.Verbs = []string{"create", "update", "patch", "delete"}
	if len(roles) == 0 {
		return delegate(tb, everything(kubevisionv1alpha1.GroupName, rules...), written)
	}
	return delegate(tb, everything(kubevisionv1alpha1.GroupName, rules...), written, mayBind(roles...))
}

func clusterObject(name string, labels labelSet) *kubevisionv1alpha1.KubeVisionCluster {
	c := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	c.Spec.KubeconfigSecretRef = &kubevisionv1alpha1.SecretKeyReference{Name: name + "-kubeconfig"}
	return c
}

func labelledClusters(labels labelSet) kubevisionv1alpha1.ClusterTargets {
	return kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{MatchLabels: labels}}
}

func boundTo(tb testing.TB, role string, targets kubevisionv1alpha1.ClusterTargets) {
	tb.Helper()
	b := hostBinding(role, grants.Named("nowhere"), grants.ToUser("nobody"))
	b.Spec.Clusters = targets
	create(tb, b)
}

// becomesRefused waits until an admission policy rejects an attempt, which is a dry run of a write. The wait is
// necessary because the API server reads new RBAC objects and KubeVisionRoleBindings after a short delay.
func becomesRefused(tb testing.TB, policy string, as client.Client, try attempt) {
	tb.Helper()
	eventually(tb, soon, "be refused by "+policy,
		func(ctx context.Context) error { return refusedBy(policy, try(ctx, as)) })
}

func mayOnlyWith(t *testing.T, role, policy string, try attempt) {
	t.Helper()
	without, with := registrar(t, "kubevision:other"), registrar(t, role)
	becomesRefused(t, policy, without, try)
	want := `the verb "bind" on ClusterRole "` + role + `" is required`
	if err := try(t.Context(), without); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the message is %v", err)
	}
	eventually(t, soon, "do it with the right", func(ctx context.Context) error { return try(ctx, with) })
}

func merge(body string) client.Patch {
	return client.RawPatch("application/merge-patch+json", []byte(body))
}

// attempt is a dry run of a write by a user.
type attempt func(context.Context, client.Client) error

func creating(o client.Object) attempt {
	return func(ctx context.Context, as client.Client) error {
		object, ok := o.DeepCopyObject().(client.Object)
		if !ok {
			return errors.New("not an object")
		}
		return as.Create(ctx, object, client.DryRunAll)
	}
}

func patching(o client.Object, body string) attempt {
	return func(ctx context.Context, as client.Client) error {
		object, ok := o.DeepCopyObject().(client.Object)
		if !ok {
			return errors.New("not an object")
		}
		return as.Patch(ctx, object, merge(body), client.DryRunAll)
	}
}

// patchingStatus returns an attempt to patch the status subresource of an object. For a built-in kind, such as
// Namespace, this patch can also change labels.
func patchingStatus(o client.Object, body string) attempt {
	return func(ctx context.Context, as client.Client) error {
		object, ok := o.DeepCopyObject().(client.Object)
		if !ok {
			return errors.New("not an object")
		}
		return as.Status().Patch(ctx, object, merge(body), client.DryRunAll)
	}
}

func mayPatch(t *testing.T, as client.Client, o client.Object, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		eventually(t, soon, "patch with "+body, func(ctx context.Context) error { return patching(o, body)(ctx, as) })
	}
}

func namespaceWith(labels labelSet) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: unique("ns"), Labels: labels}}
}

// TestNewClustersGrantNothing verifies that a user cannot register a cluster that a KubeVisionRoleBinding selects,
// unless the user may bind the role of the KubeVisionRoleBinding.
func TestNewClustersGrantNothing(t *testing.T) {
	guard(t)
	label, listed := unique("zone"), unique("listed")
	boundTo(t, "admin", labelledClusters(labelSet{label: "sandbox"}))
	boundTo(t, "some-role", kubevisionv1alpha1.ClusterTargets{Names: []string{listed}})
	boundTo(t, "ops", kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{}})
	for role, c := range map[string]*kubevisionv1alpha1.KubeVisionCluster{
		"kubevision:admin": clusterObject(unique("c"), labelSet{label: "sandbox"}),
		"some-role":        clusterObject(listed, nil),
	} {
		mayOnlyWith(t, role, names.ClustersPolicy, func(ctx context.Context, as client.Client) error {
			return as.Create(ctx, c.DeepCopy(), client.DryRunAll)
		})
	}
	if err := creating(clusterObject(unique("c"), labelSet{label: "other"}))(t.Context(), registrar(t)); err != nil {
		t.Errorf("a cluster that only a binding to every cluster selects: %v", err)
	}
}

// TestRelabelledClustersGrantNothing verifies that a user who may not bind a role cannot grant the role by a change of
// a KubeVisionCluster:
//   - The user cannot add a label with which a KubeVisionRoleBinding for the role selects the cluster.
//   - The user cannot replace the kubeconfig Secret of a cluster that the KubeVisionRoleBinding selects.
func TestRelabelledClustersGrantNothing(t *testing.T) {
	guard(t)
	label := unique("zone")
	boundTo(t, "admin", labelledClusters(labelSet{label: "sandbox"}))
	local := host(t)
	mine := clusterObject(unique("mine"), labelSet{label: "sandbox"})
	create(t, mine)
	for _, o := range []struct {
		cluster *kubevisionv1alpha1.KubeVisionCluster
		patch   string
	}{{local, `{"metadata":{"labels":{"` + label + `":"sandbox"}}}`},
		{mine, `{"spec":{"kubeconfigSecretRef":{"name":"another"}}}`}} {
		mayOnlyWith(t, "kubevision:admin", names.ClustersPolicy, patching(o.cluster, o.patch))
	}
	as := registrar(t)
	mayPatch(t, as, mine,
		`{"spec":{"displayName":"x"}}`,
		`{"metadata":{"labels":{"team":"x"}}}`,
		`{"metadata":{"labels":{"`+label+`":null}}}`,
		`{"metadata":{"finalizers":null}}`)
}

// TestNoClusterBorrowsTheCredentialsOfAnother verifies that a user cannot create a KubeVisionCluster with the
// kubeconfig Secret of another KubeVisionCluster, if the user may not read this Secret. Otherwise, the user could
// register an existing cluster a second time, with other labels.
func TestNoClusterBorrowsTheCredentialsOfAnother(t *testing.T) {
	guard(t)
	prod := clusterObject(unique("prod"), nil)
	create(t, prod)
	pretended := clusterObject(unique("false"), nil)
	pretended.Spec.KubeconfigSecretRef.Name = prod.Spec.KubeconfigSecretRef.Name
	as := registrar(t)
	becomesRefused(t, names.ClusterCredentialsPolicy, as, creating(pretended))
	if err := creating(pretended)(t.Context(), env.Client); err != nil {
		t.Errorf("who may read the Secret: %v", err)
	}
}

// TestSelectorsInAdmissionPolicies verifies that KubeVision's admission policies and KubeVision's controllers evaluate
// label selectors in the same way.
func TestSelectorsInAdmissionPolicies(t *testing.T) {
	guard(t)
	a, b := unique("a"), unique("b")
	sets := []labelSet{
		{}, {a: ""}, {a: "x"}, {a: "y"}, {b: "x"}, {"c": "x"},
		{a: "x", b: "x"}, {a: "x", b: "y"}, {a: "y", b: "y"}, {a: "z", b: ""},
	}
	need := func(key string, operator metav1.LabelSelectorOperator, values ...string) metav1.LabelSelectorRequirement {
		return metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: values}
	}
	as := registrar(t)
	type requirements = []metav1.LabelSelectorRequirement
	for name, s := range map[string]*metav1.LabelSelector{
		"labels":           {MatchLabels: labelSet{a: "x", b: "y"}},
		"an empty value":   {MatchLabels: labelSet{a: ""}},
		"In":               {MatchExpressions: requirements{need(a, "In", "x", "z")}},
		"Exists":           {MatchExpressions: requirements{need(a, "Exists")}},
		"NotIn and Exists": {MatchExpressions: requirements{need(a, "NotIn", "x"), need(b, "Exists")}},
		"and DoesNotExist": {MatchLabels: labelSet{a: "x"}, MatchExpressions: requirements{need(b, "DoesNotExist")}},
		"In twice":         {MatchExpressions: requirements{need(a, "In", "x"), need(b, "In", "x", "y")}},
		"NotIn":            {MatchExpressions: requirements{need(a, "NotIn", "x")}},
		"DoesNotExist":     {MatchExpressions: requirements{need(a, "DoesNotExist")}},
		"everything":       {},
		"no values":        {MatchExpressions: requirements{need(a, "In")}},
		"no operator":      {MatchExpressions: requirements{need(a, "Like", "x")}},
	} {
		t.Run(name, func(t *testing.T) {
			marker := unique("marker") // shows that admission uses the binding that was created before
			targets := kubevisionv1alpha1.ClusterTargets{Selector: s}
			boundTo(t, "admin", targets)
			boundTo(t, "admin", kubevisionv1alpha1.ClusterTargets{Names: []string{marker}})
			becomesRefused(t, names.ClustersPolicy, as, creating(clusterObject(marker, nil)))
			free, _ := bindings.SelectsCluster(targets, "", nil)
			for _, set := range sets {
				selected, _ := bindings.SelectsCluster(targets, "", set)
				err := creating(clusterObject(unique("c"), set))(t.Context(), as)
				if selected && !free {
					err = refusedBy(names.ClustersPolicy, err)
				}
				if err != nil {
					t.Errorf("%v, which is selected %v: %v", set, selected, err)
				}
			}
		})
	}
}

// TestLabelsOfNamespacesGrantNothing verifies that a user cannot set labels with which a role binding selects a
// namespace, unless the user may bind the role of the role binding.
func TestLabelsOfNamespacesGrantNothing(t *testing.T) {
	guard(t)
	team := unique("team")
	newBinding(t, "some-role", grants.Labelled(labelSet{team: "shop"}), grants.ToUser("nobody"))
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: newNamespace(t, nil)}}
	mayOnlyWith(t, "some-role", names.NamespacesPolicy, patching(n, `{"metadata":{"labels":{"`+team+`":"shop"}}}`))
	mayOnlyWith(t, "some-role", names.NewNamespacesPolicy, creating(namespaceWith(labelSet{team: "shop"})))
	mayOnlyWith(t, "some-role", names.NamespacesPolicy,
		patchingStatus(n, `{"metadata":{"labels":{"`+team+`":"shop"}}}`))
	as := registrar(t)
	mayPatch(t, as, n,
		`{"metadata":{"labels":{"x":"y"}}}`,
		`{"metadata":{"annotations":{"x":"y"}}}`)
	for _, labels := range []labelSet{nil, {team: "other"}} {
		if err := creating(namespaceWith(labels))(t.Context(), as); err != nil {
			t.Errorf("a namespace with %v: %v", labels, err)
		}
	}
}

// TestSelectorsOfEveryNamespaceHoldNobodyUp verifies that a role binding that selects all or nearly all namespaces does
// not restrict the labels of new namespaces.
func TestSelectorsOfEveryNamespaceHoldNobodyUp(t *testing.T) {
	guard(t)
	everywhere := grants.Labelled(nil)
	newBinding(t, "some-role", everywhere, grants.ToUser("nobody"))
	but := grants.Labelled(nil)
	but.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{
		{Key: "x", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"y"}},
	}
	newBinding(t, "some-role", but, grants.ToUser("nobody"))
	marker := unique("marker")
	newBinding(t, "some-role", grants.Labelled(labelSet{marker: ""}), grants.ToUser("nobody"))
	as := registrar(t)
	becomesRefused(t, names.NewNamespacesPolicy, as, creating(namespaceWith(labelSet{marker: ""})))
	for _, labels := range []labelSet{nil, {"any": "label"}, {"x": "y"}} {
		if err := creating(namespaceWith(labels))(t.Context(), as); err != nil {
			t.Errorf("a namespace with %v: %v", labels, err)
		}
	}
}

// TestProtectionIsNotTakenOff verifies that a user who may not bind the role "dev" cannot remove the protection of a
// namespace. The user can neither delete the label kubevision.io/protected nor set the label to "false". Otherwise, an
// existing KubeVisionRoleBinding would grant the role "dev" in the namespace.
func TestProtectionIsNotTakenOff(t *testing.T) {
	guard(t)
	newBinding(t, "dev", nil, grants.ToUser("nobody"))
	const label = "kubevision.io/protected"
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: newNamespace(t, labelSet{label: "true"})}}
	for _, value := range []string{`null`, `"false"`} {
		mayOnlyWith(t, "kubevision:dev", names.NamespacesPolicy,
			patching(n, `{"metadata":{"labels":{"`+label+`":`+value+`}}}`))
	}
	as := registrar(t)
	mayPatch(t, as, n, `{"metadata":{"labels":{"`+label+`":"yes"}}}`)
}

// TestUsersInheritNothing verifies that two changes of a KubeVisionUser require the right to bind the role of an
// existing role binding:
//   - the creation of a KubeVisionUser whose name is a subject of the role binding
//   - the addition of a KubeVisionUser to a group that is a subject of the role binding
func TestUsersInheritNothing(t *testing.T) {
	guard(t)
	group, other := unique("group"), unique("other")
	gone := userObject("")
	newBinding(t, "admin", grants.Named("nowhere"), grants.ToUser(gone.Name))
	newBinding(t, "some-role", grants.Named("nowhere"), grants.ToGroup(group))
	member := userObject("")
	member.Spec.Groups = []string{group}
	u := newUser(t, "")
	mayOnlyWith(t, "kubevision:admin", names.UsersPolicy, func(ctx context.Context, as client.Client) error {
		return as.Create(ctx, gone.DeepCopy(), client.DryRunAll)
	})
	mayOnlyWith(t, "some-role", names.UsersPolicy, func(ctx context.Context, as client.Client) error {
		return as.Create(ctx, member.DeepCopy(), client.DryRunAll)
	})
	mayOnlyWith(t, "some-role", names.UsersPolicy, patching(u, `{"spec":{"groups":["`+other+`","`+group+`"]}}`))
	as := registrar(t)
	mayPatch(t, as, u,
		`{"spec":{"groups":["`+other+`"]}}`,
		`{"spec":{"disabled":true}}`,
		`{"spec":{"displayName":"x"}}`)
}

// TestAccountsAreNotTakenOver verifies that a user who may not bind the roles of an account cannot take over the
// account. For example, the user can neither replace the password Secret nor reset the second factor of the account.
func TestAccountsAreNotTakenOver(t *testing.T) {
	guard(t)
	group := unique("group")
	named, member := userObject(""), userObject("")
	member.Spec.Groups = []string{group}
	for _, u := range []*kubevisionv1alpha1.KubeVisionUser{named, member} {
		u.Spec.Disabled, u.Spec.TwoFactor = true, kubevisionv1alpha1.TwoFactorRequired
		create(t, u)
	}
	newBinding(t, "some-role", grants.Named("nowhere"), grants.ToUser(named.Name), grants.ToGroup(group))
	for _, u := range []*kubevisionv1alpha1.KubeVisionUser{named, member} {
		for _, patch := range []string{
			`{"spec":{"passwordSecretRef":{"name":"mine"}}}`, `{"spec":{"disabled":false}}`,
			`{"spec":{"twoFactor":"Optional"}}`,
			`{"metadata":{"annotations":{"` + names.ResetTwoFactorAnnotation + `":""}}}`,
		} {
			mayOnlyWith(t, "some-role", names.UsersPolicy, patching(u, patch))
		}
	}
	as := registrar(t)
	for _, patch := range []string{`{"spec":{"groups":[]}}`, `{"spec":{"email":"a@example.com"}}`,
		`{"spec":{"mustChangePassword":true}}`} {
		eventually(t, soon, "patch with "+patch, func(ctx context.Context) error {
			return as.Patch(ctx, member.DeepCopy(), merge(patch), client.DryRunAll)
		})
	}
}
