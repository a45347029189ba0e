// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
	"github.com/kubevision-io/kubevision/pkg/controllers/impersonation"
)

// TestListErrorKeepsTheFinalizer verifies that Reconcile keeps the finalizer of a deleted cluster if the list of
// KubeVisionClusters fails. Another KubeVisionCluster may still need KubeVision's objects on the same cluster.
func TestListErrorKeepsTheFinalizer(t *testing.T) {
	scheme := newScheme(t)
	for name, spec := range map[string]kubevisionv1alpha1.KubeVisionClusterSpec{
		"the host": {InCluster: true},
		"a member": {KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: "kubeconfig"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := &kubevisionv1alpha1.KubeVisionCluster{
				ObjectMeta: metav1.ObjectMeta{
					Name: "c", UID: "c", Finalizers: []string{finalizerName}, DeletionTimestamp: new(metav1.Now()),
				},
				Spec: spec, Status: kubevisionv1alpha1.KubeVisionClusterStatus{ClusterID: "1"},
			}
			// A real client lists KubeVisionClusters from a cache. A test cannot make such a list fail.
			host := fake.NewClientBuilder().WithScheme(scheme).WithObjects(c).WithStatusSubresource(c).
				WithInterceptorFuncs(interceptor.Funcs{
					List: func(ctx context.Context, w client.WithWatch, list client.ObjectList,
						options ...client.ListOption) error {
						if _, ok := list.(*kubevisionv1alpha1.KubeVisionClusterList); ok {
							return errors.New("the cache is stopped")
						}
						return w.List(ctx, list, options...)
					},
				}).Build()
			r := newReconciler(scheme, host)
			result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(c)})
			if err != nil || result.RequeueAfter == 0 {
				t.Errorf("the next attempt is after %s (%v)", result.RequeueAfter, err)
			}
			if err := host.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil ||
				!slices.Contains(c.Finalizers, finalizerName) {
				t.Errorf("the finalizers are %v (%v)", c.Finalizers, err)
			}
		})
	}
}

func TestDeletedClusterIsForgotten(t *testing.T) {
	scheme := newScheme(t)
	r := newReconciler(scheme, fake.NewClientBuilder().WithScheme(scheme).Build())
	r.cleaned.Store("c", types.UID("c"))
	if _, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "c"}}); err != nil {
		t.Fatal(err)
	}
	if _, found := r.cleaned.Load("c"); found {
		t.Error("the UID of the deleted cluster is kept")
	}
}

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{kubevisionv1alpha1.AddToScheme, rbacv1.AddToScheme,
		corev1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

func newReconciler(scheme *runtime.Scheme, host client.Client) *Reconciler {
	writer := &apply.Writer{Client: host, Live: host}
	named := impersonation.NewSource(host)
	return &Reconciler{
		Client: host, Recorder: events.NewFakeRecorder(10), Clock: clock.RealClock{},
		Targets: clustercache.NewRegistry(&clustercache.Cluster{
			ID: "host", Writer: writer, Impersonator: &impersonation.AccountManager{Source: named, Writer: writer},
		}, scheme, host, named, addresspolicy.Policy{}, clusters.NewPool(clusters.DefaultMemberCacheBytes)),
	}
}
