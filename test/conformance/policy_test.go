// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"net/http"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func (c *cast) refuseLabel(t *testing.T, s fixture.Set) {
	t.Helper()
	name := metav1.ObjectMeta{Name: fixture.Name("conformance-policy")}
	fail := admissionregistrationv1.Fail
	s.Create(t, &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: name,
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			FailurePolicy: &fail,
			MatchConstraints: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{
					MatchLabels: map[string]string{"kubernetes.io/metadata.name": c.own}},
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{
					{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
						Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create,
							admissionregistrationv1.Update},
						Rule: admissionregistrationv1.Rule{
							APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"},
						},
					}}},
			},
			Validations: []admissionregistrationv1.Validation{{
				Expression: "!('" + refusedLabel + "' in object.metadata.?labels.orValue({}))",
				Message:    "this label is not allowed here",
			}},
		},
	})
	s.Create(t, &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: name,
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName:        name.Name,
			ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	})
	fixture.Eventually(t, "wait for the admission policy", func(ctx context.Context) error {
		return target.direct(t).Answers(ctx, wire.Rejected, wire.Request{
			Method: http.MethodPost, Path: wire.DirectPath + c.configs() + "?dryRun=All",
			Bearer: c.logins[operator].AccessToken,
			Body:   config("conformance-none", `"labels":{"`+refusedLabel+`":"x"}`, ""),
		})
	})
}
