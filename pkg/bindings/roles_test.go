// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"testing"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

func TestProtected(t *testing.T) {
	for name, tc := range map[string]struct {
		name   string
		labels map[string]string
		want   bool
	}{
		"kube-system":                     {"kube-system", nil, true},
		"kube-system, labelled otherwise": {"kube-system", map[string]string{names.ProtectedLabel: "false"}, true},
		"Leases of nodes":                 {"kube-node-lease", nil, true},
		"Kubernetes' public one":          {"kube-public", map[string]string{names.ProtectedLabel: "false"}, true},
		"KubeVision's own":                {"kubevision-system", nil, true},
		"KubeVision's, labelled otherwise": {"kubevision-system",
			map[string]string{names.ProtectedLabel: "false"}, true},
		"that of the removal":         {"kubevision-removal", map[string]string{names.ProtectedLabel: "false"}, true},
		"ordinary":                    {"shop", map[string]string{"team": "shop"}, false},
		"labelled":                    {"shop", map[string]string{names.ProtectedLabel: "true"}, true},
		"labelled with nothing":       {"shop", map[string]string{names.ProtectedLabel: ""}, true},
		"labelled with another value": {"shop", map[string]string{names.ProtectedLabel: "yes"}, true},
		"labelled false":              {"shop", map[string]string{names.ProtectedLabel: "false"}, false},
	} {
		if got := IsProtected(tc.name, tc.labels); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestRolesInProtectedNamespaces(t *testing.T) {
	for _, tc := range []struct {
		ref                     kubevisionv1alpha1.RoleReference
		whole, ordinary, spared string
	}{
		{kubevisionv1alpha1.RoleReference{Name: "admin"}, "kubevision:admin", "kubevision:admin", "kubevision:admin"},
		{kubevisionv1alpha1.RoleReference{Name: "readonly"}, "kubevision:readonly", "kubevision:readonly",
			"kubevision:readonly"},
		{kubevisionv1alpha1.RoleReference{Name: "dev"}, "kubevision:dev-cluster", "kubevision:dev",
			"kubevision:readonly"},
		{
			kubevisionv1alpha1.RoleReference{Kind: kubevisionv1alpha1.RoleKubeVision, Name: "ops"},
			"kubevision:ops-cluster", "kubevision:ops", "kubevision:readonly",
		},
		{kubevisionv1alpha1.RoleReference{Kind: kubevisionv1alpha1.RoleClusterRole, Name: "dev"}, "dev", "dev", "dev"},
		{
			kubevisionv1alpha1.RoleReference{Name: "kubevision:dev"},
			"kubevision:dev-cluster", "kubevision:dev", "kubevision:readonly",
		},
		{
			kubevisionv1alpha1.RoleReference{Kind: kubevisionv1alpha1.RoleClusterRole, Name: "kubevision:ops"},
			"kubevision:ops-cluster", "kubevision:ops", "kubevision:readonly",
		},
		{kubevisionv1alpha1.RoleReference{Name: "kubevision:other"}, "kubevision:other", "kubevision:other",
			"kubevision:other"},
		{kubevisionv1alpha1.RoleReference{Name: "pod-reader"}, "pod-reader", "pod-reader", "pod-reader"},
	} {
		if got := WholeClusterRole(tc.ref); got != tc.whole {
			t.Errorf("%+v in the whole cluster: %q, want %q", tc.ref, got, tc.whole)
		}
		if got := NamespaceRole(tc.ref, false); got != tc.ordinary {
			t.Errorf("%+v in a namespace: %q, want %q", tc.ref, got, tc.ordinary)
		}
		if got := NamespaceRole(tc.ref, true); got != tc.spared {
			t.Errorf("%+v in a protected namespace: %q, want %q", tc.ref, got, tc.spared)
		}
	}
}
