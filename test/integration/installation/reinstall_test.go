// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package installation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// TestSecondInstallation verifies that the admission policies of a new installation do not use the parameters of a
// removed installation. kube-apiserver is not restarted between the two installations. The old parameters would protect
// the wrong administrator, and would prevent the creation of users.
func TestSecondInstallation(t *testing.T) {
	const admin, other = "alice", "bob"
	const lastAdmin, old = "is the last usable administrator", "for the last time at"
	install(t)
	writeParameters(t, admin, 0, time.Now().Add(-6*time.Minute))
	await(t, "protect the administrator", rejected(lastAdmin, deletion(admin)))
	await(t, "reject a user after an old count", rejected(old, creation))
	if got := remove(t); got.err != nil {
		t.Fatalf("%v\n%s", got.err, got.output)
	}
	nothingLeft(t)
	checkMember(t, false)
	awaitRefresh(t)

	install(t)
	writeParameters(t, other, 0, time.Now())
	create(t, host.admin, user(other))
	await(t, "protect the other administrator", rejected(lastAdmin, deletion(other)))
	await(t, "not protect the administrator of the first installation", deletion(admin))
	await(t, "create a user", creation)
	writeParameters(t, other, 1, time.Now())
	await(t, "reject a user beyond the limit", rejected("--max-users", creation))
	removeAll(t)
}

func user(name string) *kubevisionv1alpha1.KubeVisionUser {
	return &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// writeParameters writes the parameters of the admission policies, as the controllers do. lastAdmin is the name of the
// last administrator. users is the number of existing users, and counted is the time of the count. The maximum number
// of users is 1.
func writeParameters(t *testing.T, lastAdmin string, users int64, counted time.Time) {
	t.Helper()
	usage := func(used int64) kubevisionv1alpha1.ObjectQuotaUsage {
		return kubevisionv1alpha1.ObjectQuotaUsage{Used: used, Limit: 1}
	}
	for name, spec := range map[string]kubevisionv1alpha1.KubeVisionPolicyParameterSpec{
		names.LastAdminParameter: {LastAdmin: &kubevisionv1alpha1.LastAdminParameter{User: lastAdmin, AdminCount: 1}},
		names.ObjectQuotaParameter: {ObjectQuota: &kubevisionv1alpha1.ObjectQuotaParameter{
			CountTime: metav1.NewTime(counted), Users: usage(users), Clusters: usage(0), RoleBindings: usage(0),
			Bytes: usage(0),
		}},
	} {
		p := &kubevisionv1alpha1.KubeVisionPolicyParameter{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := controllerutil.CreateOrUpdate(t.Context(), host.programs, p, func() error {
			p.Spec = spec
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

func creation(ctx context.Context) error {
	return host.admin.Create(ctx, user("somebody"), client.DryRunAll)
}

func deletion(name string) func(context.Context) error {
	return func(ctx context.Context) error { return host.admin.Delete(ctx, user(name), client.DryRunAll) }
}

func rejected(why string, try func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := try(ctx); err == nil || !strings.Contains(err.Error(), why) {
			return errors.Join(fmt.Errorf("it is not rejected with %q", why), err)
		}
		return nil
	}
}

func await(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	if err := localcluster.Poll(t.Context(), patience, what, check); err != nil {
		t.Error(err)
	}
}

// awaitRefresh creates a policy, and waits until it takes effect. kube-apiserver then uses all earlier changes of
// policies, too.
func awaitRefresh(t *testing.T) {
	t.Helper()
	const name, refreshed = "refresh", "the policies are refreshed"
	rule := admissionregistrationv1.RuleWithOperations{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule: admissionregistrationv1.Rule{
			APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"},
		},
	}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
					ResourceNames: []string{name}, RuleWithOperations: rule,
				}},
			},
			Validations: []admissionregistrationv1.Validation{{Expression: "false", Message: refreshed}},
		},
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        name,
			ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
	for _, o := range []client.Object{policy, binding} {
		create(t, host.admin, o)
	}
	await(t, "refresh the policies", rejected(refreshed, func(ctx context.Context) error {
		probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name}}
		return host.admin.Create(ctx, probe, client.DryRunAll)
	}))
	for _, o := range []client.Object{binding, policy} {
		if err := host.admin.Delete(t.Context(), o); err != nil {
			t.Error(err)
		}
	}
}
