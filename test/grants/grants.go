// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package grants describes RBAC objects as text, so that tests can compare existing objects with expected objects.
package grants

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// Objects maps the kind and the name of each RBAC object to a text that describes the rights that the object grants.
type Objects map[string]string

// User returns the text for a KubeVisionUser as a subject of an RBAC binding, such as "User kubevision:jane".
func User(name string) string { return "User kubevision:" + name }

// Group returns the text for a group of KubeVisionUsers as a subject of an RBAC binding, such as
// "Group kubevision:group:web".
func Group(name string) string { return "Group kubevision:group:" + name }

// InWholeCluster describes the ClusterRoleBinding that must exist for the KubeVisionRoleBinding b. The
// ClusterRoleBinding grants the role to the subjects.
func InWholeCluster(b *kubevisionv1alpha1.KubeVisionRoleBinding, role string, subjects ...string) Objects {
	return Objects{"ClusterRoleBinding kubevision:binding:" + b.Name: role + " to " + strings.Join(subjects, ", ")}
}

// InNamespaces describes the RoleBindings that must exist for the KubeVisionRoleBinding b. Each RoleBinding grants the
// role to the subject in one of the namespaces.
func InNamespaces(b *kubevisionv1alpha1.KubeVisionRoleBinding, role, subject string, namespaces ...string) Objects {
	out := Objects{}
	for _, n := range namespaces {
		out["RoleBinding "+n+"/kubevision:binding:"+b.Name] = role + " to " + subject
	}
	return out
}

// Using describes the ClusterRole and the ClusterRoleBinding that must exist for the KubeVisionRoleBinding b. The two
// objects allow the subjects to use clusters. The parameter clusters contains names that are separated by commas, or
// "*" for all clusters.
func Using(b *kubevisionv1alpha1.KubeVisionRoleBinding, clusters string, subjects ...string) Objects {
	name := "kubevision:use:" + b.Name
	return Objects{
		"ClusterRole " + name:        "use " + clusters,
		"ClusterRoleBinding " + name: name + " to " + strings.Join(subjects, ", "),
	}
}

// List describes all existing RBAC objects that have the label of the KubeVisionRoleBinding b.
func List(ctx context.Context, c client.Client, b *kubevisionv1alpha1.KubeVisionRoleBinding) (Objects, error) {
	out := Objects{}
	var roles rbacv1.ClusterRoleList
	var clusterBindings rbacv1.ClusterRoleBindingList
	var bindings rbacv1.RoleBindingList
	selector := client.MatchingLabels{names.RoleBindingLabel: b.Name}
	if err := errors.Join(c.List(ctx, &roles, selector), c.List(ctx, &clusterBindings, selector),
		c.List(ctx, &bindings, selector)); err != nil {
		return nil, err
	}
	for i := range roles.Items {
		out["ClusterRole "+roles.Items[i].Name] = describeUse(roles.Items[i].Rules)
	}
	for i := range clusterBindings.Items {
		out["ClusterRoleBinding "+clusterBindings.Items[i].Name] = Describe(clusterBindings.Items[i].RoleRef,
			clusterBindings.Items[i].Subjects)
	}
	for i := range bindings.Items {
		out["RoleBinding "+bindings.Items[i].Namespace+"/"+bindings.Items[i].Name] = Describe(bindings.Items[i].RoleRef,
			bindings.Items[i].Subjects)
	}
	return out, nil
}

// describeUse returns the rules of a ClusterRole as text. If a single rule allows the use of the clusters a and b, the
// text is "use a,b".
func describeUse(rules []rbacv1.PolicyRule) string {
	if len(rules) == 1 {
		named := rules[0].ResourceNames
		if cmp.Equal(rules[0], rbacv1.PolicyRule{
			APIGroups: []string{"kubevision.io"}, Resources: []string{"kubevisionclusters"}, Verbs: []string{"use"},
			ResourceNames: named,
		}) {
			if len(named) == 0 {
				return "use *"
			}
			return "use " + strings.Join(named, ",")
		}
	}
	return fmt.Sprintf("%+v", rules)
}

// Describe returns a text with the role and the subjects of an RBAC binding, such as "view to User jane".
func Describe(ref rbacv1.RoleRef, subjects []rbacv1.Subject) string {
	to := make([]string, 0, len(subjects))
	for _, s := range subjects {
		name := s.Name
		if s.Namespace != "" {
			name = s.Namespace + "/" + name
		}
		to = append(to, s.Kind+" "+name)
	}
	role := ref.Name
	if ref.Kind != "ClusterRole" || ref.APIGroup != rbacv1.GroupName {
		role = fmt.Sprintf("%+v", ref)
	}
	return role + " to " + strings.Join(to, ", ")
}

func union(parts []Objects) Objects {
	all := Objects{}
	for _, p := range parts {
		maps.Copy(all, p)
	}
	return all
}

// Check returns an error if the wanted objects and the existing RBAC objects of the KubeVisionRoleBinding b differ.
func Check(ctx context.Context, c client.Client, b *kubevisionv1alpha1.KubeVisionRoleBinding, want ...Objects) error {
	got, err := List(ctx, c, b)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(union(want), got); diff != "" {
		return fmt.Errorf("wanted objects (-) and existing objects (+):\n%s", diff)
	}
	return nil
}
