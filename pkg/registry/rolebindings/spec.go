// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebindings

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// check returns an error with CodeRequired if a field is missing. The API server validates the values.
func check(s *dashboardv1alpha1.RoleBindingSpec) error {
	switch {
	case len(s.Subjects) == 0:
		return envelope.Required("subjects")
	case s.RoleRef.Name == "":
		return envelope.Required("roleRef.name")
	case len(s.Clusters.Names) == 0 && s.Clusters.Selector == nil:
		return envelope.Required("clusters")
	case s.Namespaces != nil && len(s.Namespaces.Names) == 0 && s.Namespaces.Selector == nil:
		return envelope.Required("namespaces")
	}
	for i, subject := range s.Subjects {
		switch {
		case subject.Kind == "":
			return envelope.Required(fmt.Sprintf("subjects[%d].kind", i))
		case subject.Name == "":
			return envelope.Required(fmt.Sprintf("subjects[%d].name", i))
		}
	}
	return nil
}

func spec(s *dashboardv1alpha1.RoleBindingSpec) kubevisionv1alpha1.KubeVisionRoleBindingSpec {
	out := kubevisionv1alpha1.KubeVisionRoleBindingSpec{
		RoleRef: kubevisionv1alpha1.RoleReference{Kind: kubevisionv1alpha1.RoleKind(s.RoleRef.Kind),
			Name: s.RoleRef.Name},
		Clusters:   kubevisionv1alpha1.ClusterTargets(s.Clusters),
		Namespaces: (*kubevisionv1alpha1.NamespaceTargets)(s.Namespaces),
	}
	for _, subject := range s.Subjects {
		out.Subjects = append(out.Subjects, kubevisionv1alpha1.Subject{
			Kind: kubevisionv1alpha1.SubjectKind(subject.Kind), Name: subject.Name, Namespace: subject.Namespace,
		})
	}
	return out
}

func describe(b *kubevisionv1alpha1.KubeVisionRoleBinding) dashboardv1alpha1.RoleBinding {
	out := dashboardv1alpha1.RoleBinding{
		ID: b.Name, Name: b.Name, CreatedAt: b.CreationTimestamp, ResourceVersion: b.ResourceVersion,
		RoleBindingSpec: dashboardv1alpha1.RoleBindingSpec{
			Subjects:   make([]dashboardv1alpha1.RoleBindingSubject, 0, len(b.Spec.Subjects)),
			RoleRef:    dashboardv1alpha1.RoleBindingRole{Kind: string(b.Spec.RoleRef.Kind), Name: b.Spec.RoleRef.Name},
			Clusters:   dashboardv1alpha1.RoleBindingTargets(b.Spec.Clusters),
			Namespaces: (*dashboardv1alpha1.RoleBindingTargets)(b.Spec.Namespaces),
		},
		Status: describeStatus(&b.Status),
	}
	for _, s := range b.Spec.Subjects {
		out.Subjects = append(out.Subjects,
			dashboardv1alpha1.RoleBindingSubject{Kind: string(s.Kind), Name: s.Name, Namespace: s.Namespace})
	}
	return out
}

func describeStatus(s *kubevisionv1alpha1.KubeVisionRoleBindingStatus) dashboardv1alpha1.RoleBindingStatus {
	out := dashboardv1alpha1.RoleBindingStatus{
		Ready:      meta.IsStatusConditionTrue(s.Conditions, kubevisionv1alpha1.ReadyCondition),
		Summary:    (*dashboardv1alpha1.RoleBindingSummary)(s.Summary),
		Conditions: s.Conditions,
		Clusters:   make([]dashboardv1alpha1.RoleBindingClusterStatus, 0, len(s.Clusters)),
	}
	for _, c := range s.Clusters {
		out.Clusters = append(out.Clusters, dashboardv1alpha1.RoleBindingClusterStatus{
			Name: c.Name, Status: string(c.Status), Reason: c.Reason, Message: c.Message, ClusterRole: c.ClusterRole,
			NamespaceCount: c.NamespaceCount, Namespaces: c.Namespaces,
		})
	}
	return out
}
