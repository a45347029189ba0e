// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

// TestMetadataIsBounded verifies that an admission policy limits the metadata of KubeVision objects. The API server and
// the controller manager of KubeVision hold all KubeVision objects in memory.
func TestMetadataIsBounded(t *testing.T) {
	guard(t)
	existing := newUser(t, "")
	for name, tc := range map[string]struct {
		change  func(o *metav1.ObjectMeta)
		allowed bool
	}{
		"annotations of 63 KiB": {func(o *metav1.ObjectMeta) {
			o.Annotations = map[string]string{"a": strings.Repeat("x", 63<<10)}
		}, true},
		"annotations of 64 KiB": {func(o *metav1.ObjectMeta) {
			o.Annotations = map[string]string{"a": strings.Repeat("x", 64<<10)}
		}, false},
		"64 labels": {func(o *metav1.ObjectMeta) { o.Labels = numbered(64) }, true},
		"65 labels": {func(o *metav1.ObjectMeta) { o.Labels = numbered(65) }, false},
		"17 finalizers": {func(o *metav1.ObjectMeta) {
			for i := range 17 {
				o.Finalizers = append(o.Finalizers, fmt.Sprintf("example.com/%d", i))
			}
		}, false},
		"17 owners": {func(o *metav1.ObjectMeta) {
			for i := range 17 {
				o.OwnerReferences = append(o.OwnerReferences, metav1.OwnerReference{
					APIVersion: "v1", Kind: "Node", Name: strconv.Itoa(i), UID: "x",
				})
			}
		}, false},
		"an owner with a name of 16 KiB": {func(o *metav1.ObjectMeta) {
			o.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node",
				Name: strings.Repeat("x", 16<<10), UID: "x"}}
		}, false},
		"16 owners": {func(o *metav1.ObjectMeta) {
			for i := range 16 {
				o.OwnerReferences = append(o.OwnerReferences, metav1.OwnerReference{
					APIVersion: "v1", Kind: "Node", Name: strings.Repeat("x", 253), UID: types.UID(strconv.Itoa(i)),
				})
			}
		}, true},
	} {
		user := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: unique("large")}}
		binding := hostBinding(kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser("nobody"))
		tc.change(&user.ObjectMeta)
		tc.change(&binding.ObjectMeta)
		changed := existing.DeepCopy()
		tc.change(&changed.ObjectMeta)
		for what, err := range map[string]error{
			"creating a user":    env.Client.Create(t.Context(), user, client.DryRunAll),
			"creating a binding": env.Client.Create(t.Context(), binding, client.DryRunAll),
			"changing a user":    env.Client.Patch(t.Context(), changed, client.MergeFrom(existing), client.DryRunAll),
		} {
			refused := err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy 'kubevision-metadata'")
			if refused == tc.allowed || (tc.allowed && err != nil) {
				t.Errorf("%s with %s: rejected: %t (%v)", what, name, refused, err)
			}
		}
	}
}

func numbered(count int) map[string]string {
	out := map[string]string{}
	for i := range count {
		out[fmt.Sprintf("l%d", i)] = ""
	}
	return out
}
