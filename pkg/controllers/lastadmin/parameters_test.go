// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package lastadmin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

func TestParameters(t *testing.T) {
	toUser := func(name string) kubevisionv1alpha1.Subject {
		return kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectKubeVisionUser, Name: name}
	}
	toGroup := func(name string) kubevisionv1alpha1.Subject {
		return kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectKubeVisionGroup, Name: name}
	}
	users := make([]kubevisionv1alpha1.KubeVisionUser, 4)
	for i, name := range []string{"alice", "bob", "off", "leaving"} {
		users[i].Name = name
	}
	users[1].Spec.Groups = []string{"admins", "web"}
	users[2].Spec.Disabled = true
	users[3].DeletionTimestamp = &metav1.Time{}
	users[3].DeletionTimestamp.Time = metav1.Now().Time
	for name, tc := range map[string]struct {
		bindings map[string][]kubevisionv1alpha1.Subject
		want     map[string]string
	}{
		"nobody": {nil, map[string]string{"admins": ""}},
		"not usable": {map[string][]kubevisionv1alpha1.Subject{"a": {toUser("off"), toUser("leaving"),
			toUser("gone")}}, map[string]string{"admins": ""}},
		"one, by name": {map[string][]kubevisionv1alpha1.Subject{"a": {toUser("alice"), toUser("off")}},
			map[string]string{"admins": "alice", "user": "alice", "binding": "a",
				"bindingSubjects": "KubeVisionUser/alice"}},
		"one, by group": {map[string][]kubevisionv1alpha1.Subject{"a": {toGroup("admins"), toGroup("web")}},
			map[string]string{
				"admins": "bob", "user": "bob", "userGroups": "admins,web", "binding": "a",
				"bindingSubjects": "KubeVisionGroup/admins,KubeVisionGroup/web",
			}},
		"one, both ways": {map[string][]kubevisionv1alpha1.Subject{"a": {toGroup("admins")}, "b": {toUser("bob")}},
			map[string]string{"admins": "bob", "user": "bob"}},
		"two, by one": {map[string][]kubevisionv1alpha1.Subject{"a": {toUser("alice"), toUser("bob")}},
			map[string]string{"admins": "alice,bob", "binding": "a",
				"bindingSubjects": "KubeVisionUser/alice,KubeVisionUser/bob"}},
		"two, by two": {map[string][]kubevisionv1alpha1.Subject{"a": {toUser("alice")}, "b": {toUser("bob")}},
			map[string]string{"admins": "alice,bob"}},
		"a Kubernetes user": {map[string][]kubevisionv1alpha1.Subject{"a": {{Kind: kubevisionv1alpha1.SubjectUser,
			Name: "alice"}}}, map[string]string{"admins": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			var grants []grant
			for name, subjects := range tc.bindings {
				b := &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}}
				b.Spec.Subjects = subjects
				grants = append(grants, grantsOf(b, users)...)
			}
			if diff := cmp.Diff(tc.want, parameters(grants)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestManyAdministrators verifies that the names of many administrators fit into a ConfigMap.
func TestManyAdministrators(t *testing.T) {
	const many = 20_000
	grants := make([]grant, many)
	for i := range grants {
		u := &kubevisionv1alpha1.KubeVisionUser{}
		u.Name = fmt.Sprintf("%063d", i)
		subject := kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectKubeVisionGroup, Name: "admins"}
		grants[i] = grant{user: u, binding: "a", subject: subject}
	}
	got := parameters(grants)
	size := 0
	for key, value := range got {
		size += len(key) + len(value)
	}
	if size > 64<<10 || !strings.HasSuffix(got[adminsKey], separator+ellipsis) || got[bindingKey] != "a" {
		t.Errorf("%d administrators take %d bytes", many, size)
	}
}
