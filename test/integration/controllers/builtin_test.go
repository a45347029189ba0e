// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

// TestClusterRolesOfBuiltInRolesSpareProtectedNamespaces verifies the protection of namespaces if a
// KubeVisionRoleBinding names the ClusterRole "kubevision:dev" or "kubevision:ops". In a protected namespace, the user
// can neither read Secrets nor create Pods.
func TestClusterRolesOfBuiltInRolesSpareProtectedNamespaces(t *testing.T) {
	guard(t)
	host(t)
	for name, tc := range map[string]struct {
		kind       kubevisionv1alpha1.RoleKind
		role       string
		namespaces *kubevisionv1alpha1.NamespaceTargets
	}{
		"the whole cluster":     {"", dev, nil},
		"named as ClusterRole":  {kubevisionv1alpha1.RoleClusterRole, "kubevision:ops", nil},
		"protected namespaces":  {"", dev, grants.Named(system, "kube-system")},
		"every namespace there": {kubevisionv1alpha1.RoleClusterRole, dev, grants.Labelled(nil)},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUser(t, "")
			b := hostBinding(tc.role, tc.namespaces, grants.ToUser(u.Name))
			b.Spec.RoleRef.Kind = tc.kind
			create(t, b)
			awaitReady(t, b)
			for _, n := range []string{names.Namespace, "kube-system"} {
				for _, q := range rightsBeyondReadonly(n) {
					if err := may("kubevision:"+u.Name, q, false)(t.Context()); err != nil {
						t.Errorf("%+v: %v", q, err)
					}
				}
			}
		})
	}
}
