// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package condition

import (
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// TestBehind verifies that a reconciler does not begin with a status that is older than the last written status.
func TestBehind(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := kubevisionv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	old := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: "c", UID: "1"}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(old).WithStatusSubresource(old).Build()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(old), old); err != nil {
		t.Fatal(err)
	}
	var p Patcher
	patch := func(o *kubevisionv1alpha1.KubeVisionCluster, status metav1.ConditionStatus) {
		t.Helper()
		var err error
		write := p.Patch(t.Context(), c, events.NewFakeRecorder(10), o, &o.Status.Conditions, &err)
		Set(&o.Status.Conditions, 1, kubevisionv1alpha1.ReadyCondition, status, "Because", "")
		write()
		if err != nil {
			t.Fatal(err)
		}
	}
	if p.IsStale(old) {
		t.Error("behind what was never written")
	}
	written := old.DeepCopy()
	patch(written, metav1.ConditionTrue)
	if !p.IsStale(old) {
		t.Error("the old object is not behind")
	}
	if p.IsStale(written) {
		t.Error("what was written is behind")
	}
	again := written.DeepCopy()
	patch(again, metav1.ConditionFalse)
	version, err := strconv.Atoi(again.ResourceVersion)
	if err != nil {
		t.Fatal(err)
	}
	later := again.DeepCopy()
	later.ResourceVersion = strconv.Itoa(version + 1) // another client has changed the object
	if !p.IsStale(written) || p.IsStale(later) || len(p.written) != 0 {
		t.Errorf("written %v", p.written)
	}
	other := old.DeepCopy()
	other.UID = "2"
	if p.IsStale(other) {
		t.Error("another object of that name is behind")
	}
}
