// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"fmt"
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

const mib = 1 << 20

func allocateSizes(requiredAndReservedMiB [][2]int64) (fits []bool, totalReservedBytes int64) {
	sizes := map[types.UID]*bindingSize{}
	var ordered []*kubevisionv1alpha1.KubeVisionRoleBinding
	for i, e := range requiredAndReservedMiB {
		uid := types.UID(strconv.Itoa(i))
		sizes[uid] = &bindingSize{requiredBytes: e[0] * mib, reservedBytes: e[1] * mib, role: strconv.Itoa(i)}
		ordered = append(ordered, &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{UID: uid}})
	}
	allocate(ordered, sizes)
	var total int64
	out := make([]bool, len(requiredAndReservedMiB))
	for i := range requiredAndReservedMiB {
		size := sizes[types.UID(strconv.Itoa(i))]
		out[i] = size.reservedBytes >= size.requiredBytes
		total += size.reservedBytes
	}
	return out, total
}

func TestBudgetIsSpentInTheOrderOfCreation(t *testing.T) {
	full := [][2]int64{}
	for range 8 {
		full = append(full, [2]int64{16, 16})
	}
	for name, tc := range map[string]struct {
		entries [][2]int64
		want    []bool
	}{
		"the newest is left out": {append(full[:8:8], [2]int64{1, 0}),
			[]bool{true, true, true, true, true, true, true, true, false}},
		"no objects exist": {[][2]int64{{16, 0}, {16, 0}, {16, 0}, {16, 0}, {16, 0}, {16, 0}, {16, 0},
			{10, 0}, {10, 0}, {6, 0}}, []bool{true, true, true, true, true, true, true, true, false, true}},
		"others keep their objects": {append([][2]int64{{16, 1}}, full[:8:8]...),
			[]bool{false, true, true, true, true, true, true, true, true}},
		"one binding is too large": {[][2]int64{{17, 0}, {1, 0}}, []bool{false, true}},
		"one that shrinks is not refused": {append(full[:7:7], [2]int64{2, 16}),
			[]bool{true, true, true, true, true, true, true, true}},
	} {
		got, total := allocateSizes(tc.entries)
		if fmt.Sprint(got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
		if total > clusterBudget+16*mib {
			t.Errorf("%s: %d bytes in all", name, total)
		}
	}
}

// TestOneRoleLeavesRoomForOthers verifies that the bindings of one role cannot use all the space for role bindings on a
// cluster. Otherwise, a user who may bind only that role could block the bindings of other roles.
func TestOneRoleLeavesRoomForOthers(t *testing.T) {
	sizes := map[types.UID]*bindingSize{}
	var ordered []*kubevisionv1alpha1.KubeVisionRoleBinding
	for i := range 9 {
		uid := types.UID(strconv.Itoa(i))
		sizes[uid] = &bindingSize{requiredBytes: 16 * mib, role: "one"}
		ordered = append(ordered, &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{UID: uid}})
	}
	if sizes["8"].role = "other"; isWithinBudget(sizes) {
		t.Error("all fit")
	}
	allocate(ordered, sizes)
	for uid, size := range sizes {
		if given, want := size.reservedBytes == size.requiredBytes, uid <= "5" || uid == "8"; given != want {
			t.Errorf("binding %s of role %s is given its objects: %t, want %t", uid, size.role, given, want)
		}
	}
}

// TestDesiredBytes verifies the size of the objects that a binding requires on a cluster. The binding has the
// maximum number of subjects, with the longest names. The test verifies the size in three cases:
//   - The role dev requires a RoleBinding in each unprotected namespace. In 1,000 namespaces, the size exceeds
//     bindingBudget.
//   - The size for the role readonly does not depend on the number of namespaces.
//   - The size is 0 on a cluster that the binding does not select.
func TestDesiredBytes(t *testing.T) {
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{}
	b.Spec.RoleRef.Name = kubevisionv1alpha1.RoleDev
	b.Spec.Clusters.Names = []string{"local"}
	for range 256 {
		b.Spec.Subjects = append(b.Spec.Subjects, kubevisionv1alpha1.Subject{
			Kind: kubevisionv1alpha1.SubjectUser, Name: fmt.Sprintf("%0253d", 1),
		})
	}
	var all namespaceList
	for i := range 1000 {
		all.items = append(all.items, namespace{name: strconv.Itoa(i), protected: i < 10})
	}
	registrations := []*kubevisionv1alpha1.KubeVisionCluster{{ObjectMeta: metav1.ObjectMeta{Name: "local"}}}
	const each = objectBytes + 256*(subjectBytes+253)
	if got := desiredBytes(b, registrations, all); got != 992*each || got < bindingBudget {
		t.Errorf("dev in the whole cluster takes %d bytes, want %d", got, 992*each)
	}
	b.Spec.RoleRef.Name = kubevisionv1alpha1.RoleReadonly
	if got := desiredBytes(b, registrations, all); got != 2*each {
		t.Errorf("readonly in the whole cluster takes %d bytes, want %d", got, 2*each)
	}
	if got := desiredBytes(b, nil, all); got != 0 {
		t.Errorf("on another cluster it takes %d bytes", got)
	}
}
