// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

func toUser(name string) kubevisionv1alpha1.Subject {
	return kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectKubeVisionUser, Name: name}
}

func toGroup(name string) kubevisionv1alpha1.Subject {
	return kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectKubeVisionGroup, Name: name}
}

func inNames(namespaces ...string) *kubevisionv1alpha1.NamespaceTargets {
	return &kubevisionv1alpha1.NamespaceTargets{Names: namespaces}
}

func labelled(labels map[string]string) *kubevisionv1alpha1.NamespaceTargets {
	return &kubevisionv1alpha1.NamespaceTargets{Selector: &metav1.LabelSelector{MatchLabels: labels}}
}

// bindingObject returns a binding on the host; without namespaces it applies to the whole cluster.
func bindingObject(
	role string, namespaces *kubevisionv1alpha1.NamespaceTargets, subjects ...kubevisionv1alpha1.Subject,
) *kubevisionv1alpha1.KubeVisionRoleBinding {
	return &kubevisionv1alpha1.KubeVisionRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: unique("binding")},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			Subjects:   subjects,
			RoleRef:    kubevisionv1alpha1.RoleReference{Name: role},
			Clusters:   kubevisionv1alpha1.ClusterTargets{Names: []string{hostName}},
			Namespaces: namespaces,
		},
	}
}

func newBinding(
	tb testing.TB, role string, namespaces *kubevisionv1alpha1.NamespaceTargets, subjects ...kubevisionv1alpha1.Subject,
) *kubevisionv1alpha1.KubeVisionRoleBinding {
	tb.Helper()
	b := bindingObject(role, namespaces, subjects...)
	create(tb, b)
	return b
}

// made maps each RBAC object to its grant.
type made map[string]string

func user(name string) string  { return "User kubevision:" + name }
func group(name string) string { return "Group kubevision:group:" + name }

func inWholeCluster(b *kubevisionv1alpha1.KubeVisionRoleBinding, role string, subjects ...string) made {
	return made{"ClusterRoleBinding kubevision:binding:" + b.Name: role + " to " + strings.Join(subjects, ", ")}
}

func inNamespaces(b *kubevisionv1alpha1.KubeVisionRoleBinding, role, subject string, namespaces ...string) made {
	out := made{}
	for _, n := range namespaces {
		out["RoleBinding "+n+"/kubevision:binding:"+b.Name] = role + " to " + subject
	}
	return out
}

// using returns the objects that let the subjects use clusters, whose names are separated by commas; * means all.
func using(b *kubevisionv1alpha1.KubeVisionRoleBinding, clusters string, subjects ...string) made {
	name := "kubevision:use:" + b.Name
	return made{
		"ClusterRole " + name:        "use " + clusters,
		"ClusterRoleBinding " + name: name + " to " + strings.Join(subjects, ", "),
	}
}

// madeFor returns all objects on the host with the binding's label.
func madeFor(ctx context.Context, b *kubevisionv1alpha1.KubeVisionRoleBinding) (made, error) {
	out := made{}
	var roles rbacv1.ClusterRoleList
	var clusterBindings rbacv1.ClusterRoleBindingList
	var bindings rbacv1.RoleBindingList
	selector := client.MatchingLabels{names.RoleBindingLabel: b.Name}
	if err := errors.Join(env.Client.List(ctx, &roles, selector), env.Client.List(ctx, &clusterBindings, selector),
		env.Client.List(ctx, &bindings, selector)); err != nil {
		return nil, err
	}
	for i := range roles.Items {
		out["ClusterRole "+roles.Items[i].Name] = describeUse(roles.Items[i].Rules)
	}
	for i := range clusterBindings.Items {
		out["ClusterRoleBinding "+clusterBindings.Items[i].Name] = grant(clusterBindings.Items[i].RoleRef,
			clusterBindings.Items[i].Subjects)
	}
	for i := range bindings.Items {
		out["RoleBinding "+bindings.Items[i].Namespace+"/"+bindings.Items[i].Name] = grant(bindings.Items[i].RoleRef,
			bindings.Items[i].Subjects)
	}
	return out, nil
}

// describeUse returns the short form of the only rule that such a role may have, and the long form of anything else.
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

func grant(ref rbacv1.RoleRef, subjects []rbacv1.Subject) string {
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

func union(parts []made) made {
	all := made{}
	for _, p := range parts {
		maps.Copy(all, p)
	}
	return all
}

// isMade returns a check that exactly these objects exist for the binding.
func isMade(b *kubevisionv1alpha1.KubeVisionRoleBinding, want ...made) func(context.Context) error {
	return func(ctx context.Context) error {
		got, err := madeFor(ctx, b)
		if err != nil {
			return err
		}
		if diff := cmp.Diff(union(want), got); diff != "" {
			return fmt.Errorf("wanted objects (-) and existing objects (+):\n%s", diff)
		}
		return nil
	}
}

// awaitMade waits until exactly these objects exist for the binding.
func awaitMade(tb testing.TB, b *kubevisionv1alpha1.KubeVisionRoleBinding, want ...made) {
	tb.Helper()
	eventually(tb, soon, "wait for what binding "+b.Name+" asks for", isMade(b, want...))
}

func sorted(names ...string) []string { return slices.Sorted(slices.Values(names)) }
