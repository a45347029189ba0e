// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package grants

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// ToUser returns a subject that names a KubeVisionUser.
func ToUser(name string) kubevisionv1alpha1.Subject {
	return kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectKubeVisionUser, Name: name}
}

// ToGroup returns a subject that names a group of KubeVisionUsers.
func ToGroup(name string) kubevisionv1alpha1.Subject {
	return kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectKubeVisionGroup, Name: name}
}

// Named returns targets that name namespaces.
func Named(namespaces ...string) *kubevisionv1alpha1.NamespaceTargets {
	return &kubevisionv1alpha1.NamespaceTargets{Names: namespaces}
}

// Labelled returns targets that select namespaces by their labels.
func Labelled(labels map[string]string) *kubevisionv1alpha1.NamespaceTargets {
	return &kubevisionv1alpha1.NamespaceTargets{Selector: &metav1.LabelSelector{MatchLabels: labels}}
}

// NewBinding returns a binding on one cluster. Without namespaces, it applies to the whole cluster.
func NewBinding(
	name, cluster, role string, namespaces *kubevisionv1alpha1.NamespaceTargets,
	subjects ...kubevisionv1alpha1.Subject,
) *kubevisionv1alpha1.KubeVisionRoleBinding {
	return &kubevisionv1alpha1.KubeVisionRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			Subjects:   subjects,
			RoleRef:    kubevisionv1alpha1.RoleReference{Name: role},
			Clusters:   kubevisionv1alpha1.ClusterTargets{Names: []string{cluster}},
			Namespaces: namespaces,
		},
	}
}
