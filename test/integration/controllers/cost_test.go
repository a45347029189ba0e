// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

// TestSelectorsAreBounded verifies that the size of selectors in role bindings is bounded. The admission policies
// evaluate all selectors for each change of a label. Without a bound, a user who may bind only the role "readonly"
// could make each change of a label time out.
func TestSelectorsAreBounded(t *testing.T) {
	guard(t)
	as := delegate(t, everything(kubevisionv1alpha1.GroupName, kubevisionv1alpha1.ResourceRoleBindings),
		mayBind("kubevision:readonly"))
	for name, tc := range map[string]struct {
		labels, expressions, values int
		allowed                     bool
	}{
		"small":       {32, 32, 8, true},
		"labels":      {33, 0, 0, false},
		"expressions": {0, 33, 1, false},
		"values":      {0, 1, 257, false},
		"many values": {0, 32, 9, false},
		"huge":        {0, 25000, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := &metav1.LabelSelector{MatchLabels: labelSet{}}
			for i := range tc.labels {
				s.MatchLabels[fmt.Sprintf("l%d", i)] = ""
			}
			for i := range tc.expressions {
				e := metav1.LabelSelectorRequirement{Key: fmt.Sprintf("k%d", i),
					Operator: metav1.LabelSelectorOpDoesNotExist}
				for v := range tc.values {
					e.Operator = metav1.LabelSelectorOpIn
					e.Values = append(e.Values, fmt.Sprintf("v%d", v))
				}
				s.MatchExpressions = append(s.MatchExpressions, e)
			}
			inNamespaces := hostBinding("readonly", &kubevisionv1alpha1.NamespaceTargets{Selector: s},
				grants.ToUser("nobody"))
			inClusters := hostBinding("readonly", nil, grants.ToUser("nobody"))
			inClusters.Spec.Clusters = kubevisionv1alpha1.ClusterTargets{Selector: s}
			for _, b := range []*kubevisionv1alpha1.KubeVisionRoleBinding{inNamespaces, inClusters} {
				err := as.Create(t.Context(), b, client.DryRunAll)
				if tc.allowed && err != nil {
					t.Error(err)
				}
				if !tc.allowed && (err == nil || !strings.Contains(err.Error(), "a selector has at most")) {
					t.Errorf("it is not refused: %v", err)
				}
			}
		})
	}
}

// TestTextOfSelectorsIsBounded verifies that a selector is rejected if a key or a value is longer than Kubernetes
// allows in labels. A longer key or value would use memory and match no label.
func TestTextOfSelectorsIsBounded(t *testing.T) {
	guard(t)
	as := delegate(t, everything(kubevisionv1alpha1.GroupName, kubevisionv1alpha1.ResourceRoleBindings),
		mayBind("kubevision:readonly"))
	in := func(key string, values ...string) *metav1.LabelSelector {
		e := metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpIn, Values: values}
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{e}}
	}
	long := strings.Repeat("x", 64)
	for name, s := range map[string]*metav1.LabelSelector{
		"a label's key":   {MatchLabels: labelSet{strings.Repeat(long, 5): ""}},
		"a label's value": {MatchLabels: labelSet{"a": long}},
		"a key":           in(strings.Repeat(long, 5), "a"),
		"a value":         in("a", "a", long),
		"an operator": {MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "a", Operator: metav1.LabelSelectorOperator(long)},
		}},
	} {
		inNamespaces := hostBinding("readonly", &kubevisionv1alpha1.NamespaceTargets{Selector: s},
			grants.ToUser("nobody"))
		inClusters := hostBinding("readonly", nil, grants.ToUser("nobody"))
		inClusters.Spec.Clusters = kubevisionv1alpha1.ClusterTargets{Selector: s}
		for _, b := range []*kubevisionv1alpha1.KubeVisionRoleBinding{inNamespaces, inClusters} {
			err := as.Create(t.Context(), b, client.DryRunAll)
			if err == nil || !strings.Contains(err.Error(), "a selector has at most 317 characters") {
				t.Errorf("%s is not refused: %v", name, err)
			}
		}
	}
}
