// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/names"
)

func large(name string) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{
		Namespace: "team", Name: name, Annotations: map[string]string{"a": strings.Repeat("x", 200<<10)},
		Labels: map[string]string{
			names.ManagedByLabel: names.ManagedBy, names.ComponentLabel: "c", names.RoleBindingLabel: "b",
		},
	}
	for i := range 10_000 {
		meta.Labels[fmt.Sprintf("l%d", i)] = "x"
		meta.Finalizers = append(meta.Finalizers, fmt.Sprintf("example.com/%d", i))
		meta.OwnerReferences = append(meta.OwnerReferences, metav1.OwnerReference{Name: "x"})
	}
	return meta
}

// TestTrim verifies that the cache stores only a small part of a large RBAC object. Otherwise, any user could fill the
// memory with objects that have KubeVision's label. The stored part must still show that the object grants rights.
func TestTrim(t *testing.T) {
	const kept = 2 << 10
	rules := make([]rbacv1.PolicyRule, 20_000)
	for i := range rules {
		rules[i] = rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}
	}
	subjects := make([]rbacv1.Subject, 20_000)
	for i := range subjects {
		subjects[i] = rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: fmt.Sprint("user", i)}
	}
	for name, object := range map[string]client.Object{
		"a role":                            &rbacv1.Role{ObjectMeta: large("x"), Rules: rules},
		"a role of the impersonator's name": &rbacv1.Role{ObjectMeta: large(names.Impersonator), Rules: rules},
		"a binding":                         &rbacv1.RoleBinding{ObjectMeta: large("x"), Subjects: subjects[:10]},
		"a binding with a name of KubeVision": &rbacv1.RoleBinding{ObjectMeta: large(names.GrantedRole("x")),
			Subjects: subjects},
		"a binding of a role with a large name": &rbacv1.RoleBinding{
			ObjectMeta: large("x"), RoleRef: rbacv1.RoleRef{Name: strings.Repeat("x", 1<<20)}, Subjects: subjects[:1],
		},
	} {
		t.Run(name, func(t *testing.T) {
			transform := Trim()
			if _, ok := object.(*rbacv1.RoleBinding); ok {
				transform = ShareMemory()
			}
			if _, err := transform(object); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(object)
			if err != nil || len(text) > kept {
				t.Errorf("%d bytes are kept (%v)", len(text), err)
			}
			if len(rightFields(object)) == 0 || len(object.GetFinalizers()) == 0 || len(object.GetLabels()) != 3 {
				t.Errorf("it is not known any more what it is: %s", text)
			}
		})
	}
}

// TestTrimMetadata verifies that the annotations, finalizers and owner references of a namespace are not cached.
// Otherwise, the creator of a namespace could fill the memory of the cache.
func TestTrimMetadata(t *testing.T) {
	o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: "n", UID: "1", Labels: map[string]string{"team": "web"},
		Annotations:     map[string]string{"a": strings.Repeat("x", 256<<10)},
		OwnerReferences: []metav1.OwnerReference{{Name: strings.Repeat("x", 1<<20)}},
		Finalizers:      []string{"example.com/x"},
		ManagedFields:   []metav1.ManagedFieldsEntry{{Manager: "m"}},
	}}
	want := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Name: "n", UID: "1", Labels: map[string]string{"team": "web"},
	}}
	if _, err := TrimMetadata()(o); err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("%+v is kept (%v)", o, err)
	}
}

// TestTrimOwn verifies that the rules and the subjects of KubeVision's own RBAC objects are cached completely.
func TestTrimOwn(t *testing.T) {
	meta := metav1.ObjectMeta{
		Namespace: "team", Name: names.Impersonator, UID: "1", ResourceVersion: "2",
		Labels: map[string]string{names.ManagedByLabel: names.ManagedBy, names.ComponentLabel: "c"},
	}
	accounts := make([]string, 1000)
	for i := range accounts {
		accounts[i] = strings.Repeat("a", 253)
	}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		Verbs: []string{"impersonate"}, Resources: []string{"serviceaccounts"}, ResourceNames: accounts,
	}}}
	want := role.DeepCopy()
	if _, err := Trim()(role); err != nil || !reflect.DeepEqual(role, want) {
		t.Errorf("a role has changed (%v)", err)
	}
	meta.Name = names.GrantedRole("x")
	binding := &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{Name: "view"}}
	for range 256 {
		binding.Subjects = append(binding.Subjects,
			rbacv1.Subject{Kind: rbacv1.UserKind, Name: strings.Repeat("u", 253)})
	}
	bound := binding.DeepCopy()
	if _, err := ShareMemory()(binding); err != nil || !reflect.DeepEqual(binding, bound) {
		t.Errorf("a binding has changed (%v)", err)
	}
}
