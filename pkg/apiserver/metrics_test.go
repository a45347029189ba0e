// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/filters"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

type registrations struct {
	informertest.FakeInformers

	registered string
}

// Get finds only the cluster with the name r.registered. For any other name, Get returns NotFound.
func (r *registrations) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	if key.Name == r.registered {
		return nil
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: kubevisionv1alpha1.ResourceClusters}, key.Name)
}

// TestSeriesEndWithTheRegistration verifies that KubeVision deletes the metrics of a cluster some time after a user has
// deleted the KubeVisionCluster. KubeVision keeps the metrics if the user has created a KubeVisionCluster with the same
// name in the meantime.
func TestSeriesEndWithTheRegistration(t *testing.T) {
	registerMetrics()
	scheme := runtime.NewScheme()
	if err := kubevisionv1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	fake := &registrations{FakeInformers: informertest.FakeInformers{Scheme: scheme}, registered: "again"}
	if err := forgetMetrics(t.Context(), fake, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	informer, err := fake.FakeInformerFor(t.Context(), &kubevisionv1alpha1.KubeVisionCluster{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"again", "removed"} {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			envelope.StateFrom(r.Context()).SetCluster(name)
			envelope.WriteError(r.Context(), w, errors.New("failed"))
		})
		filters.WithEnvelope(handler, func(*http.Request) bool { return false }, nil).ServeHTTP(httptest.NewRecorder(),
			httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/x", http.NoBody))
		for _, m := range clusters.Metrics() { // calls to the cluster would create these series
			switch vector := m.(type) {
			case *metrics.CounterVec:
				vector.WithLabelValues(name, "2xx").Inc()
			case *metrics.HistogramVec:
				vector.WithLabelValues(name).Observe(1)
			default:
				t.Fatalf("%T has unknown labels", m)
			}
		}
		if !hasSeries(t, name) {
			t.Fatalf("cluster %s has no series", name)
		}
		informer.Delete(&kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	gone := func(context.Context) (bool, error) { return !hasSeries(t, "removed"), nil }
	if err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, gone); err != nil {
		t.Errorf("the series of a removed cluster stay: %v", err)
	}
	if !hasSeries(t, "again") {
		t.Error("the series of a cluster that was registered again are gone")
	}
}

func hasSeries(t *testing.T, cluster string) bool {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), "kubevision_") && strings.Contains(family.String(), `"`+cluster+`"`) {
			return true
		}
	}
	return false
}
