// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const readerUser = "system:serviceaccount:kubevision-system:kubevision-reader"

func readerObjects() []client.Object {
	return []client.Object{
		&corev1.ServiceAccount{ObjectMeta: inSystem(names.Reader)},
		clusterRole(names.Reader),
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: names.Reader}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: names.Reader + "-view"}},
	}
}

func setReadCache(tb testing.TB, c *kubevisionv1alpha1.KubeVisionCluster, mode kubevisionv1alpha1.ReadCacheMode) {
	tb.Helper()
	ctx, cancel := later(tb)
	defer cancel()
	if err := env.Client.Patch(ctx, c, merge(`{"spec":{"readCache":"`+string(mode)+`"}}`)); err != nil {
		tb.Fatal(err)
	}
}

func awaitReadCache(
	tb testing.TB, c *kubevisionv1alpha1.KubeVisionCluster, status metav1.ConditionStatus, reason string,
) {
	tb.Helper()
	awaitCondition(tb, c, kubevisionv1alpha1.ClusterReadCacheCondition, status, reason)
}

// TestReaderSeesNoSecrets verifies that the ServiceAccount of the read cache can neither read Secrets nor impersonate
// users.
func TestReaderSeesNoSecrets(t *testing.T) {
	guard(t)
	awaitReadCache(t, host(t), metav1.ConditionTrue, kubevisionv1alpha1.ReasonReaderApplied)
	for _, yes := range []authorizationv1.ResourceAttributes{
		{Verb: "list", Resource: "pods"}, {Verb: "watch", Group: "apps", Resource: "deployments"},
		{Verb: "list", Resource: "nodes"},
		{Verb: "watch", Group: rbacv1.GroupName, Resource: "clusterrolebindings"},
	} {
		eventually(t, soon, "be allowed to "+yes.Verb+" "+yes.Resource, may(readerUser, yes, true))
	}
	for _, no := range []authorizationv1.ResourceAttributes{
		listSecrets(""), listSecrets(names.Namespace), {Verb: "get", Resource: "secrets", Namespace: "default",
			Name: "x"},
		impersonateAttributes("users", "kubernetes-admin"), {Verb: "create", Resource: "pods", Namespace: "default"},
		{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: names.Namespace,
			Name: names.Impersonator},
		{Verb: "list", Group: kubevisionv1alpha1.GroupName, Resource: "kubevisionsessions"},
	} {
		if err := may(readerUser, no, false)(t.Context()); err != nil {
			t.Errorf("%+v: %v", no, err)
		}
	}
}

// TestDisabledReadCacheLeavesNoAccount verifies that the ServiceAccount of the read cache is deleted when the read
// cache of a cluster is disabled. The cluster remains Ready.
func TestDisabledReadCacheLeavesNoAccount(t *testing.T) {
	guard(t)
	c := host(t)
	if c.Spec.ReadCache != kubevisionv1alpha1.ReadCacheEnabled {
		t.Errorf("the default is %q", c.Spec.ReadCache)
	}
	t.Cleanup(func() { setReadCache(t, c, kubevisionv1alpha1.ReadCacheEnabled) })
	setReadCache(t, c, kubevisionv1alpha1.ReadCacheDisabled)
	for _, o := range readerObjects() {
		eventuallyAbsent(t, o)
	}
	awaitReadCache(t, c, metav1.ConditionFalse, kubevisionv1alpha1.ReasonDisabled)
	awaitReady(t, c)
	setReadCache(t, c, kubevisionv1alpha1.ReadCacheEnabled)
	awaitReadCache(t, c, metav1.ConditionTrue, kubevisionv1alpha1.ReasonReaderApplied)
	for _, o := range readerObjects() {
		read(t, o)
	}
	c = read(t, c)
	before := c.DeepCopy()
	c.Spec.ReadCache = "Sometimes"
	if err := env.Client.Patch(t.Context(), c, client.MergeFrom(before), client.DryRunAll); err == nil {
		t.Error("an unknown mode is accepted")
	}
}

// TestForeignReaderGetsNoRights verifies that KubeVision grants no rights to a ServiceAccount "kubevision-reader" that
// another client has created. It also verifies that KubeVision does not bind a ClusterRole "kubevision-reader" that
// another client has created. The client may hold tokens of the ServiceAccount, or may have chosen the rules of the
// ClusterRole.
func TestForeignReaderGetsNoRights(t *testing.T) {
	guard(t)
	c := host(t)
	t.Cleanup(func() { setReadCache(t, c, kubevisionv1alpha1.ReadCacheEnabled) })
	for name, foreign := range map[string]struct {
		object client.Object
		// without contains the bindings that must not exist.
		without []client.Object
	}{
		"account": {readerObjects()[0], readerObjects()[2:]},
		"role": {&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: names.Reader}, Rules: allSecrets()},
			readerObjects()[2:3]},
	} {
		t.Run(name, func(t *testing.T) {
			setReadCache(t, c, kubevisionv1alpha1.ReadCacheDisabled)
			for _, o := range readerObjects() {
				eventuallyAbsent(t, o)
			}
			create(t, foreign.object)
			setReadCache(t, c, kubevisionv1alpha1.ReadCacheEnabled)
			awaitReadCache(t, c, metav1.ConditionFalse, kubevisionv1alpha1.ReasonApplyFailed)
			awaitReady(t, c)
			for _, o := range foreign.without {
				if err := absent(t.Context(), o); err != nil {
					t.Error(err)
				}
			}
			remove(t, foreign.object)
			setReadCache(t, c, kubevisionv1alpha1.ReadCacheDisabled) // so that the next change is noticed
		})
	}
}

// TestOnlyKubeVisionGetsTokens verifies that a user who may create ServiceAccount tokens gets no tokens of KubeVision's
// accounts kubevision-impersonator and kubevision-reader. An administrator still gets tokens of both accounts.
func TestOnlyKubeVisionGetsTokens(t *testing.T) {
	guard(t)
	awaitReadCache(t, host(t), metav1.ConditionTrue, kubevisionv1alpha1.ReasonReaderApplied)
	asker := delegate(t, everything("", "serviceaccounts", "serviceaccounts/token"))
	ask := func(ctx context.Context, as client.Client, name string) error {
		account := &corev1.ServiceAccount{ObjectMeta: inSystem(name)}
		return as.SubResource("token").Create(ctx, account, &authenticationv1.TokenRequest{})
	}
	eventually(t, soon, "get a token of another account", func(ctx context.Context) error {
		return ask(ctx, asker, "default")
	})
	for _, name := range []string{names.Reader, names.Impersonator} {
		if err := refusedBy("kubevision-own-tokens", ask(t.Context(), asker, name)); err != nil {
			t.Errorf("a token of %s: %v", name, err)
		}
		if err := ask(t.Context(), env.Client, name); err != nil {
			t.Errorf("an administrator gets no token of %s: %v", name, err)
		}
	}
}
