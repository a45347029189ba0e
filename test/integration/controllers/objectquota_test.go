// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

const (
	objectQuotaPolicy = "kubevision-object-quota"
	readonlyRole      = kubevisionv1alpha1.RoleReadonly
)

func restartWith(tb testing.TB, flags ...string) {
	tb.Helper()
	if err := env.KubeVision.ControllerManager().RestartWith(tb.Context(), flags...); err != nil {
		tb.Fatal(err)
	}
}

// overQuota returns an error unless err is a rejection by the object quota and contains the given text.
func overQuota(err error, text string) error {
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(),
		"ValidatingAdmissionPolicy '"+objectQuotaPolicy+"'") ||
		!strings.Contains(err.Error(), text) {
		return errors.Join(errors.New("want an error with "+text), err)
	}
	return nil
}

func existing(tb testing.TB, list client.ObjectList, length func() int) int {
	tb.Helper()
	if err := env.Client.List(tb.Context(), list); err != nil {
		tb.Fatal(err)
	}
	return length()
}

// TestObjectsAreFew verifies that the numbers of KubeVisionUsers, KubeVisionClusters and KubeVisionRoleBindings are
// limited. The limits protect etcd and the memory of KubeVision's programs.
func TestObjectsAreFew(t *testing.T) {
	guard(t)
	t.Cleanup(func() {
		ctx, cancel := later(t)
		defer cancel()
		if err := env.KubeVision.ControllerManager().RestartWith(ctx); err != nil {
			t.Error(err)
		}
	})
	user := newUser(t, "")
	cluster := clusterObject(unique("few"), nil)
	create(t, cluster)
	binding := newBinding(t, readonlyRole, grants.Named("nowhere"), grants.ToUser("nobody"))
	var users kubevisionv1alpha1.KubeVisionUserList
	var clusters kubevisionv1alpha1.KubeVisionClusterList
	var bindings kubevisionv1alpha1.KubeVisionRoleBindingList
	restartWith(t,
		fmt.Sprintf("--max-users=%d", existing(t, &users, func() int { return len(users.Items) })),
		fmt.Sprintf("--max-clusters=%d", existing(t, &clusters, func() int { return len(clusters.Items) })),
		fmt.Sprintf("--max-role-bindings=%d", existing(t, &bindings, func() int { return len(bindings.Items) })))
	for flag, tc := range map[string]struct {
		existing client.Object
		next     client.Object
	}{
		"--max-users":         {user, userObject("")},
		"--max-clusters":      {cluster, clusterObject(unique("more"), nil)},
		"--max-role-bindings": {binding, hostBinding(readonlyRole, grants.Named("nowhere"), grants.ToUser("nobody"))},
	} {
		try := func(ctx context.Context) error {
			next := tc.next.DeepCopyObject().(client.Object) //nolint:forcetypeassert,errcheck // it is an object
			return env.Client.Create(ctx, next, client.DryRunAll)
		}
		eventually(t, lease, "reach "+flag, func(ctx context.Context) error {
			return overQuota(try(ctx), flag+" of kubevision-controller-manager")
		})
		longer := merge(`{"metadata":{"labels":{"team":"a-longer-label"}}}`)
		if err := env.Client.Patch(t.Context(), tc.existing, longer); err != nil {
			t.Errorf("an object that exists may not be changed at %s: %v", flag, err)
		}
		remove(t, tc.existing)
		eventually(t, soon, "create a replacement of "+tc.existing.GetName(), try)
	}
}

// TestObjectsAreSmallTogether verifies that the total size of KubeVisionUsers, KubeVisionClusters and
// KubeVisionRoleBindings is limited. At the limit, an update may make an object smaller, but not larger.
func TestObjectsAreSmallTogether(t *testing.T) {
	guard(t)
	t.Cleanup(func() {
		ctx, cancel := later(t)
		defer cancel()
		if err := env.KubeVision.ControllerManager().RestartWith(ctx); err != nil {
			t.Error(err)
		}
	})
	user := userObject("")
	user.Spec.Groups, user.Spec.DisplayName = []string{"one", "two"}, "Somebody"
	user.Annotations = map[string]string{"example.com/note": "a note"}
	create(t, user)
	binding := newBinding(t, readonlyRole, grants.Named("a", "b"), grants.ToUser("nobody"), grants.ToUser("somebody"))
	restartWith(t, "--max-object-bytes=1")
	patching := func(o client.Object, body string) func(context.Context) error {
		return func(ctx context.Context) error {
			changed := o.DeepCopyObject().(client.Object) //nolint:forcetypeassert,errcheck // it is an object
			return env.Client.Patch(ctx, changed, merge(body), client.DryRunAll)
		}
	}
	eventually(t, lease, "reach the size", func(ctx context.Context) error {
		err := env.Client.Create(ctx, userObject(""), client.DryRunAll)
		return overQuota(err, "--max-object-bytes of kubevision-controller-manager")
	})
	for _, tc := range []struct {
		object client.Object
		body   string
		grows  bool
	}{
		{user, `{"metadata":{"annotations":{"example.com/other":"x"}}}`, true},
		{user, `{"metadata":{"labels":{"team":"x"}}}`, true},
		{user, `{"spec":{"groups":["one","two","three"]}}`, true},
		{user, `{"spec":{"email":"somebody@example.com"}}`, true},
		{user, `{"spec":{"groups":["one"]}}`, false},
		{user, `{"spec":{"disabled":true}}`, false},
		{user, `{"metadata":{"annotations":{"kubevision.io/allow-removing-last-admin":"true"}}}`, false},
		{user, `{"metadata":{"annotations":{"kubevision.io/allow-removing-last-admin":"not true"}}}`, true},
		{user, `{"metadata":{"annotations":null},"spec":{"displayName":""}}`, false},
		{binding, `{"spec":{"subjects":[{"kind":"KubeVisionUser","name":"nobody"}]}}`, false},
		{binding, `{"spec":{"namespaces":{"names":["a"]}}}`, false},
		{binding, `{"spec":{"namespaces":{"names":["a","b","c"]}}}`, true},
		{binding, `{"spec":{"subjects":[
			{"kind":"KubeVisionUser","name":"nobody"},{"kind":"KubeVisionUser","name":"somebody-else"}
		]}}`, true},
		{binding, `{"spec":{"clusters":{"names":null,"selector":{"matchLabels":{"environment":"production"}}}}}`, true},
	} {
		err := patching(tc.object, tc.body)(t.Context())
		if tc.grows {
			err = overQuota(err, "--max-object-bytes")
		}
		if err != nil {
			t.Errorf("%s: %v", tc.body, err)
		}
	}
	restartWith(t)
	eventually(t, lease, "grow again", patching(user, `{"metadata":{"labels":{"team":"x"}}}`))
}

// TestOldCountsAllowNothing verifies that no KubeVisionUser can be created if the controllers last counted the
// KubeVisionUsers more than 5 minutes ago.
func TestOldCountsAllowNothing(t *testing.T) {
	guard(t)
	program := env.KubeVision.ControllerManager()
	if err := program.Stop(); err != nil {
		t.Fatal(err)
	}
	started := false
	start := func() {
		ctx, cancel := later(t)
		defer cancel()
		if err := program.Start(ctx); err != nil {
			t.Error(err)
		}
		started = true
	}
	t.Cleanup(func() {
		if !started {
			start()
		}
	})
	p := read(t, policyParameter(names.ObjectQuotaParameter))
	try := func(ctx context.Context) error { return env.Client.Create(ctx, userObject(""), client.DryRunAll) }
	for age, refused := range map[time.Duration]bool{4 * time.Minute: false, 6 * time.Minute: true} {
		change(t, p, func(p *kubevisionv1alpha1.KubeVisionPolicyParameter) {
			p.Spec.ObjectQuota.CountTime = metav1.NewTime(time.Now().Add(-age))
		})
		eventually(t, soon, "create with a count of "+age.String()+" ago", func(ctx context.Context) error {
			if refused {
				return overQuota(try(ctx), "has counted the kubevisionusers for the last time at "+
					p.Spec.ObjectQuota.CountTime.UTC().Format(time.RFC3339))
			}
			return try(ctx)
		})
	}
	start()
	eventually(t, lease, "create when it is counted again", try)
}
