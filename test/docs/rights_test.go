// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/kubevision-io/kubevision/test/grants"
)

var updateRights = flag.Bool("update-rights", false, "write the list of rights instead of comparing it")

// TestRightsOfServiceAccounts verifies that the rights that the manifests grant to ServiceAccounts equal the list in
// rights.txt, so that a review sees each new right in one place.
func TestRightsOfServiceAccounts(t *testing.T) {
	granted := grantedRights(t)
	if *updateRights {
		text := grants.RightsHeader + strings.Join(granted, "\n") + "\n"
		path := filepath.Join(readTree(t).root, "test", "grants", "rights.txt")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(grants.Rights(), granted); diff != "" {
		t.Errorf("test/grants/rights.txt and the manifests differ (-list +manifests): review the new rights, and "+
			"run make generate\n%s", diff)
	}
}

type rbacObject struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Rules    []rbacv1.PolicyRule
	RoleRef  rbacv1.RoleRef
	Subjects []rbacv1.Subject
}

func grantedRights(t *testing.T) []string {
	t.Helper()
	roles := map[rbacv1.RoleRef]map[string][]rbacv1.PolicyRule{}
	var bindings []rbacObject
	for _, file := range manifests(t) {
		for text := range strings.SplitSeq(file, "\n---\n") {
			var o rbacObject
			if err := yaml.Unmarshal([]byte(text), &o); err != nil {
				t.Fatalf("decoding a manifest: %v\n%s", err, text)
			}
			switch o.Kind {
			case "ClusterRole", "Role":
				ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: o.Kind, Name: o.Metadata.Name}
				if roles[ref] == nil {
					roles[ref] = map[string][]rbacv1.PolicyRule{}
				}
				roles[ref][o.Metadata.Namespace] = o.Rules
			case "ClusterRoleBinding", "RoleBinding":
				bindings = append(bindings, o)
			}
		}
	}
	var out []string
	for _, b := range bindings {
		for _, s := range b.Subjects {
			if s.Kind != rbacv1.ServiceAccountKind {
				continue
			}
			namespace := b.Metadata.Namespace
			if b.RoleRef.Kind == "ClusterRole" {
				namespace = ""
			}
			account := types.NamespacedName{Namespace: s.Namespace, Name: s.Name}
			rules := roles[b.RoleRef][namespace]
			if rules == nil && strings.HasPrefix(b.RoleRef.Name, "kubevision") {
				t.Errorf("the manifests contain no %s %s", b.RoleRef.Kind, b.RoleRef.Name)
			}
			out = append(out, grants.DescribeRights(account, b.Metadata.Namespace, b.RoleRef, rules)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
