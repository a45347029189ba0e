// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

func person(name string, groups ...string) kubevisionv1alpha1.KubeVisionUser {
	return kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kubevisionv1alpha1.KubeVisionUserSpec{Groups: groups}}
}

func granted(
	role string, kind kubevisionv1alpha1.SubjectKind, name string, clusters ...string,
) kubevisionv1alpha1.KubeVisionRoleBinding {
	b := kubevisionv1alpha1.KubeVisionRoleBinding{Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
		Subjects: []kubevisionv1alpha1.Subject{{Kind: kind, Name: name}},
		RoleRef:  kubevisionv1alpha1.RoleReference{Name: role},
		Clusters: kubevisionv1alpha1.ClusterTargets{Names: clusters},
	}}
	if len(clusters) == 0 {
		b.Spec.Clusters.Selector = &metav1.LabelSelector{}
	}
	return b
}

func TestDirectory(t *testing.T) {
	const byUser, byGroup = kubevisionv1alpha1.SubjectKubeVisionUser, kubevisionv1alpha1.SubjectKubeVisionGroup
	clusters := []kubevisionv1alpha1.KubeVisionCluster{
		{ObjectMeta: metav1.ObjectMeta{Name: "host"}, Spec: kubevisionv1alpha1.KubeVisionClusterSpec{InCluster: true}},
		{ObjectMeta: metav1.ObjectMeta{Name: "member"}},
	}
	ending := granted("admin", byUser, "ending")
	ending.DeletionTimestamp = &metav1.Time{}
	*ending.DeletionTimestamp = metav1.Now()
	bindings := []kubevisionv1alpha1.KubeVisionRoleBinding{
		granted("readonly", byUser, "alice"), granted("ops", byUser, "alice", "host"),
		granted("admin", byGroup, "root"),
		granted("admin", byUser, "elsewhere", "member"), granted("view", byUser, "custom"), ending,
	}
	users := []kubevisionv1alpha1.KubeVisionUser{
		person("alice"), person("bob", "root"), person("elsewhere"), person("custom"), person("nobody"),
		person("ending"),
	}
	want := map[string]string{
		"alice": roleAdmin, "bob": roleSuperAdmin, "elsewhere": roleCustom, "custom": roleCustom, "nobody": roleCustom,
		"ending": roleCustom,
	}
	d := newDirectory(users, bindings, clusters)
	for i := range users {
		if got := d.role(&users[i]); got != want[users[i].Name] {
			t.Errorf("%s is %s, want %s", users[i].Name, got, want[users[i].Name])
		}
	}
	// A grant on every cluster counts even if the host is not registered.
	want["alice"] = roleViewer
	d = newDirectory(users, bindings, clusters[1:])
	for i := range users {
		if got := d.role(&users[i]); got != want[users[i].Name] {
			t.Errorf("without a host %s is %s, want %s", users[i].Name, got, want[users[i].Name])
		}
	}
}
