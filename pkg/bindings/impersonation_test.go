// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package bindings

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// bindingsOf returns a binding for each list of subjects. Each binding is a second newer than the previous one.
func bindingsOf(subjects ...[]kubevisionv1alpha1.Subject) []kubevisionv1alpha1.KubeVisionRoleBinding {
	out := make([]kubevisionv1alpha1.KubeVisionRoleBinding, 0, len(subjects))
	for i, s := range subjects {
		b := kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("b%d", i), UID: types.UID(fmt.Sprintf("u%d", i)),
			CreationTimestamp: metav1.Unix(int64(i), 0),
		}}
		b.Spec.Subjects = s
		out = append(out, b)
	}
	return out
}

func longUsers(prefix string, count int) []kubevisionv1alpha1.Subject {
	var out []kubevisionv1alpha1.Subject
	for i := range count {
		name := fmt.Sprintf("%s-%d-", prefix, i)
		out = append(out, kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectUser, Name: name +
			strings.Repeat("x", 92-len(name))})
	}
	return out
}

// TestImpersonationBudget verifies that CollectImpersonation processes the oldest binding first. If the names in a
// binding need more than the remaining bytes, CollectImpersonation omits this binding, but still processes newer
// bindings.
func TestImpersonationBudget(t *testing.T) {
	account := []kubevisionv1alpha1.Subject{{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: "ci",
		Name: "bot"}}
	all := bindingsOf(longUsers("first", 10), longUsers("second", 11), longUsers("third", 5), longUsers("first", 10),
		account)
	all[0], all[2] = all[2], all[0]
	named, left := CollectImpersonation(all, nil, 2000)
	if diff := cmp.Diff(sets.New[types.UID]("u1", "u4"), left); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	if got := named.Users.Len(); got != 15 {
		t.Errorf("%d users, want 15", got)
	}
	if named.ServiceAccounts.Len() > 0 {
		t.Errorf("service accounts %v exceed the budget", named.ServiceAccounts)
	}
}

// TestImpersonationShares verifies that the bindings of one role cannot use all bytes that are available for the names
// of subjects. A part is reserved for the bindings of other roles.
func TestImpersonationShares(t *testing.T) {
	all := bindingsOf(longUsers("first", 10), longUsers("second", 5), longUsers("third", 5), longUsers("fourth", 4),
		longUsers("fifth", 1))
	all[3].Spec.RoleRef.Name, all[4].Spec.RoleRef.Name = kubevisionv1alpha1.RoleAdmin, kubevisionv1alpha1.RoleAdmin
	_, left := CollectImpersonation(all, nil, 2000)
	if diff := cmp.Diff(sets.New[types.UID]("u2"), left); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
}

func TestImpersonationLeavesOutBindingsThatEnd(t *testing.T) {
	all := bindingsOf(everyKind())
	all[0].DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	if named, _ := CollectImpersonation(all, nil,
		ImpersonationBudget); named.Users.Len()+named.Groups.Len()+named.ServiceAccounts.Len() > 0 {
		t.Errorf("names are %+v", named)
	}
}

// BenchmarkImpersonationOf measures the time that CollectImpersonation needs for 200 role bindings and 4,000 users.
// Each role binding has 20 groups as subjects, and each user belongs to three groups.
func BenchmarkImpersonationOf(b *testing.B) {
	const groups = 400
	users := make([]kubevisionv1alpha1.KubeVisionUser, 4000)
	for i := range users {
		users[i].Name = fmt.Sprintf("user-%d", i)
		for g := range 3 {
			users[i].Spec.Groups = append(users[i].Spec.Groups, fmt.Sprintf("group-%d", (i*7+g*131)%groups))
		}
	}
	subjects := make([][]kubevisionv1alpha1.Subject, 200)
	for i := range subjects {
		for s := range 20 {
			subjects[i] = append(subjects[i], kubevisionv1alpha1.Subject{
				Kind: kubevisionv1alpha1.SubjectKubeVisionGroup, Name: fmt.Sprintf("group-%d", (i*20+s)%groups),
			})
		}
	}
	all := bindingsOf(subjects...)
	for b.Loop() {
		CollectImpersonation(all, users, ImpersonationBudget)
	}
}
