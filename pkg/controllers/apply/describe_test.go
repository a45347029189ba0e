// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// TestErrorsNameKinds verifies that errors of a Writer, which appear in conditions, name an object by its Kubernetes
// kind.
func TestErrorsNameKinds(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := rbacv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	unknown := &unstructured.Unstructured{}
	unknown.SetName("x")
	for name, test := range map[string]struct {
		object client.Object
		want   string
	}{
		"without a namespace": {&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "kubevision:use:x"}},
			"ClusterRole kubevision:use:x"},
		"with a namespace": {
			&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "kubevision:binding:x"}},
			"RoleBinding shop/kubevision:binding:x",
		},
		"unknown to the scheme": {unknown, "object x"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &Writer{Client: fake.NewClientBuilder().WithScheme(scheme).Build()}
			if got := w.describe(test.object); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	foreign := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "kubevision:use:x"}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(foreign).Build()
	err := (&Writer{Client: c, Live: c}).Apply(t.Context(),
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: foreign.Name}})
	if !errors.Is(err, ErrForeign) || !strings.HasPrefix(err.Error(), "ClusterRole kubevision:use:x already exists") {
		t.Errorf("an object of somebody else's: %v", err)
	}
}
