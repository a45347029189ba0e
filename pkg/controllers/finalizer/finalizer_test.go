// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package finalizer

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

const name = "kubevision.io/test"

// recorded returns a client that records the bodies of patches and rejects updates.
func recorded(t *testing.T, bodies *[]map[string]any, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := kubevisionv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error {
			t.Error("an update drops fields that the binary does not know")
			return nil
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch,
			options ...client.PatchOption) error {
			data, err := p.Data(o)
			if err != nil {
				return err
			}
			var body map[string]any
			if err := json.Unmarshal(data, &body); err != nil {
				return err
			}
			*bodies = append(*bodies, body)
			return c.Patch(ctx, o, p, options...)
		},
	}).Build()
}

// TestPatch verifies that the patch contains the list of finalizers and the version that was read.
func TestPatch(t *testing.T) {
	var bodies []map[string]any
	o := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: "c",
		Finalizers: []string{"example.com/other"}}}
	c := recorded(t, &bodies, o)
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatal(err)
	}
	sent := func(finalizers ...any) map[string]any {
		return map[string]any{"metadata": map[string]any{"finalizers": finalizers,
			"resourceVersion": o.ResourceVersion}}
	}
	stale := o.DeepCopy()
	want := []map[string]any{sent("example.com/other", name)}
	for range 2 { // the second call has no effect
		if err := Ensure(t.Context(), c, o, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := Ensure(t.Context(), c, stale, name); !apierrors.IsConflict(err) {
		t.Errorf("an object that has changed since it was read: %v", err)
	}
	want = append(want, want[0], sent("example.com/other"))
	if err := Finish(t.Context(), c, o, name, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, bodies); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}
