// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// TestRightsOfServiceAccounts verifies that the rights that the manifests grant to ServiceAccounts equal the reviewed
// list in testdata/rights.txt.
func TestRightsOfServiceAccounts(t *testing.T) {
	path := filepath.Join("testdata", "rights.txt")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			want = append(want, line)
		}
	}
	got := grantedRights(t)
	for _, right := range got {
		if !slices.Contains(want, right) {
			t.Errorf("%s lacks: %s", path, right)
		}
	}
	for _, right := range want {
		if !slices.Contains(got, right) {
			t.Errorf("the manifests lack: %s", right)
		}
	}
}

// rbacObject contains the fields of roles and bindings.
type rbacObject struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Rules    []rbacv1.PolicyRule
	RoleRef  rbacv1.RoleRef
	Subjects []rbacv1.Subject
}

// grantedRights returns one line for each right of each ServiceAccount. The line contains the account, the namespace,
// the verbs, and the resource or the role of Kubernetes.
func grantedRights(t *testing.T) []string {
	t.Helper()
	roles := map[rbacv1.RoleRef]map[string][]rbacv1.PolicyRule{}
	var bindings []rbacObject
	for _, file := range manifests(t) {
		for text := range strings.SplitSeq(file, "\n---\n") {
			var o rbacObject
			if yaml.Unmarshal([]byte(text), &o) != nil {
				continue
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
			for _, right := range rights(b.RoleRef, roles[b.RoleRef][namespace]) {
				in := place(b.Metadata.Namespace)
				out = append(out, fmt.Sprintf("%s/%s in %s: %s", s.Namespace, s.Name, in, right))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func place(namespace string) string {
	if namespace == "" {
		return "all"
	}
	return namespace
}

// rights describes the rules of a role, or a role that the manifests do not define.
func rights(ref rbacv1.RoleRef, rules []rbacv1.PolicyRule) []string {
	if rules == nil {
		return []string{ref.Kind + " " + ref.Name}
	}
	var out []string
	for i := range rules {
		r := &rules[i]
		verbs := strings.Join(slices.Sorted(slices.Values(r.Verbs)), ",")
		for _, url := range r.NonResourceURLs {
			out = append(out, verbs+" "+url)
		}
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				right := verbs + " " + resource
				if group != "" {
					right += "." + group
				}
				if len(r.ResourceNames) > 0 {
					right += " named " + strings.Join(r.ResourceNames, ",")
				}
				out = append(out, right)
			}
		}
	}
	return out
}
