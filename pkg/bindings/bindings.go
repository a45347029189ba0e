// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bindings resolves KubeVisionRoleBindings to subjects, roles, clusters and namespaces. The controllers and the
// server of KubeVision both use this package, so that they resolve each binding in the same way.
package bindings

import (
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/identity"
)

// Users contains KubeVisionUsers by name.
type Users map[string]*kubevisionv1alpha1.KubeVisionUser

// IndexUsers returns pointers to the elements of users, by name.
func IndexUsers(users []kubevisionv1alpha1.KubeVisionUser) Users {
	out := make(Users, len(users))
	for i := range users {
		out[users[i].Name] = &users[i]
	}
	return out
}

// Subjects converts the subjects of a KubeVisionRoleBinding to RBAC subjects. notFound contains the names of
// KubeVisionUsers that do not exist or are being deleted. These get no RBAC subject, because a deleted user must lose
// all rights even if bindings still name the user.
func Subjects(subjects []kubevisionv1alpha1.Subject, users Users) (found []rbacv1.Subject, notFound []string) {
	for _, s := range subjects {
		switch s.Kind {
		case kubevisionv1alpha1.SubjectKubeVisionUser:
			if u, ok := users[s.Name]; !ok || !u.DeletionTimestamp.IsZero() {
				notFound = append(notFound, s.Name)
				continue
			}
			found = append(found, rbacUser(identity.UserName(s.Name)))
		case kubevisionv1alpha1.SubjectKubeVisionGroup:
			found = append(found, rbacGroup(identity.GroupName(s.Name)))
		case kubevisionv1alpha1.SubjectUser:
			found = append(found, rbacUser(s.Name))
		case kubevisionv1alpha1.SubjectGroup:
			found = append(found, rbacGroup(s.Name))
		case kubevisionv1alpha1.SubjectServiceAccount:
			found = append(found, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: s.Namespace, Name: s.Name})
		}
	}
	return found, notFound
}

func rbacUser(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}
}

func rbacGroup(name string) rbacv1.Subject {
	return rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: name}
}

// ContainsUser returns true if subjects contain the Kubernetes user or one of the Kubernetes groups.
func ContainsUser(subjects []rbacv1.Subject, user string, groups []string) bool {
	return slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool {
		switch s.Kind {
		case rbacv1.UserKind:
			return s.Name == user
		case rbacv1.GroupKind:
			return slices.Contains(groups, s.Name)
		case rbacv1.ServiceAccountKind:
			return user == serviceAccountUser(s.Namespace, s.Name)
		default:
			return false
		}
	})
}

// SelectsCluster returns true if t selects the cluster with the given name and labels. It returns false and an error if
// the label selector of t is invalid.
func SelectsCluster(t kubevisionv1alpha1.ClusterTargets, name string, clusterLabels map[string]string) (bool, error) {
	return selects(t.Names, t.Selector, name, clusterLabels)
}

// SelectsEveryCluster returns true if t selects all existing and future clusters, because its label selector is empty.
func SelectsEveryCluster(t kubevisionv1alpha1.ClusterTargets) bool {
	return t.Selector != nil && len(t.Selector.MatchLabels) == 0 && len(t.Selector.MatchExpressions) == 0
}

// NamespaceSelection returns a function that returns true if t selects the namespace with the given name and labels. It
// returns an error if the label selector of t is invalid.
func NamespaceSelection(
	t *kubevisionv1alpha1.NamespaceTargets,
) (func(name string, namespaceLabels labels.Set) bool, error) {
	if t.Selector == nil {
		return func(name string, _ labels.Set) bool { return slices.Contains(t.Names, name) }, nil
	}
	s, err := metav1.LabelSelectorAsSelector(t.Selector)
	if err != nil {
		return nil, fmt.Errorf("invalid label selector: %w", err)
	}
	return func(_ string, namespaceLabels labels.Set) bool { return s.Matches(namespaceLabels) }, nil
}

func selects(
	names []string, selector *metav1.LabelSelector, name string, objectLabels map[string]string,
) (bool, error) {
	if selector == nil {
		return slices.Contains(names, name), nil
	}
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return false, fmt.Errorf("invalid label selector: %w", err)
	}
	return s.Matches(labels.Set(objectLabels)), nil
}
