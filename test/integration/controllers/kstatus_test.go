// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

// TestKstatus verifies the results of kstatus, which Flux and kpt use. kstatus must wait for objects that are not
// Ready, that have changed since the last reconciliation, or that are being deleted. It must treat other objects as
// current, and report no failure.
func TestKstatus(t *testing.T) {
	set := fixture.Set{Client: env.Client, Programs: env.Programs}
	registered := host(t).Name
	ready := set.User(t, "kstatus")
	bound := set.Bind(t, "kstatus", fixture.Grant{
		Role: "readonly", Subjects: fixture.KubeVisionUsers(ready), Cluster: registered,
	})
	lost := set.RemoteCluster(t, "kstatus") // the Secret of the cluster does not exist
	waiting := &kubevisionv1alpha1.KubeVisionUser{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("kstatus")},
		Spec: kubevisionv1alpha1.KubeVisionUserSpec{
			PasswordSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: "missing"},
		},
	}
	set.Create(t, waiting)
	hopeless := set.Bind(t, "kstatus", fixture.Grant{
		Role: "readonly", Subjects: fixture.KubeVisionUsers(ready), Cluster: lost, Unconnected: true,
	})
	for _, want := range []struct {
		kind, name string
		status     status.Status
	}{
		{"KubeVisionCluster", registered, status.CurrentStatus},
		{"KubeVisionUser", ready.Name, status.CurrentStatus},
		{"KubeVisionRoleBinding", bound.Name, status.CurrentStatus},
		{"KubeVisionCluster", lost, status.InProgressStatus},
		{"KubeVisionUser", waiting.Name, status.InProgressStatus},
		{"KubeVisionRoleBinding", hopeless.Name, status.InProgressStatus},
	} {
		fixture.Eventually(t, want.kind+" "+want.name, func(ctx context.Context) error {
			return hasStatus(ctx, want.kind, want.name, want.status)
		})
	}
	changed := kstatusObject("KubeVisionUser", ready.Name)
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(changed), changed); err != nil {
		t.Fatal(err)
	}
	changed.SetGeneration(changed.GetGeneration() + 1) // the controllers have not observed this generation
	if got, err := status.Compute(changed); err != nil || got.Status != status.InProgressStatus {
		t.Errorf("an object that has changed is %v: %v", got, err)
	}
	now := metav1.Now()
	changed.SetDeletionTimestamp(&now)
	if got, err := status.Compute(changed); err != nil || got.Status != status.TerminatingStatus {
		t.Errorf("an object that is deleted is %v: %v", got, err)
	}
}

func kstatusObject(kind, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kubevisionv1alpha1.SchemeGroupVersion.WithKind(kind))
	object.SetName(name)
	return object
}

func hasStatus(ctx context.Context, kind, name string, want status.Status) error {
	object := kstatusObject(kind, name)
	if err := env.Client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	if conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions"); len(conditions) == 0 {
		return fmt.Errorf("%s %s has no conditions", kind, name)
	}
	got, err := status.Compute(object)
	if err != nil {
		return fmt.Errorf("computing its status: %w", err)
	}
	if got.Status != want {
		return fmt.Errorf("%s %s is %s: %s", kind, name, got.Status, got.Message)
	}
	return nil
}
