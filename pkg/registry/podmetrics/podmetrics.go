// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package podmetrics reads the CPU and memory usage of Pods from the API metrics.k8s.io, and adds it to Pods in JSON.
package podmetrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
)

const (
	// Resource is the resource PodMetrics. Some clusters do not serve it.
	Resource = "pods.metrics.k8s.io"

	// timeout bounds the time for reading metrics.
	timeout = 3 * time.Second

	// Field is the top-level field of a Pod in which AddTo sets a PodMetrics.
	Field = "metrics"
	// StatusField is the top-level field of a Pod in which AddTo sets the state of the metrics, for example
	// MetricsPending.
	StatusField = "metricsStatus"
)

// Measured contains the fields of a PodMetrics of the API metrics.k8s.io.
type Measured struct {
	Metadata struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"metadata"`
	Timestamp  metav1.Time `json:"timestamp"`
	Window     string      `json:"window"`
	Containers []struct {
		Name  string              `json:"name"`
		Usage corev1.ResourceList `json:"usage"`
	} `json:"containers"`
}

// podSpec contains the requests and limits in the spec of a Pod.
type podSpec struct {
	Containers []struct {
		Name      string                      `json:"name"`
		Resources corev1.ResourceRequirements `json:"resources"`
	} `json:"containers"`
}

// Group is the API group metrics.k8s.io.
const Group = "metrics.k8s.io"

// GroupResource returns a resource of metrics.k8s.io.
func GroupResource(plural string) schema.GroupResource {
	return schema.GroupResource{Group: Group, Resource: plural}
}

// Metrics contains the metrics of one or more Pods, or the error of reading them.
type Metrics struct {
	known   map[[2]string]Measured
	err     error
	account *budget.Account
}

// Read reads the metrics of the Pod that t identifies. If t has no name, Read reads the metrics of all Pods in the
// namespace of t. If t also has no namespace, Read reads the metrics of the Pods in all namespaces. If the metrics
// cannot be read, Read logs the error, and Available returns false.
func Read(ctx context.Context, caller *scopedlist.Client, t objectref.Target) *Metrics {
	known, err := read(ctx, caller, t)
	if err != nil {
		klog.FromContext(ctx).V(3).Info("There are no metrics of Pods", "cluster", caller.Cluster(), "reason",
			err.Error())
	}
	return &Metrics{known: known, err: err, account: budget.AccountFrom(ctx)}
}

// Available returns true if the metrics could be read, even if some Pods have no metrics.
func (m *Metrics) Available() bool { return m.err == nil }

// AddTo sets the field metricsStatus in each Pod, and the field metrics in each Pod that has metrics. The metrics also
// contain the requests and limits in the spec of the Pod. If the spec is too large to be decoded, the Pod gets no
// metrics.
func (m *Metrics) AddTo(pods ...objects.Object) error {
	for _, object := range pods {
		if err := m.addTo(object); err != nil {
			return err
		}
	}
	return nil
}

// Usage returns the total usage of the containers of a Pod. It returns false if there are no metrics of the Pod.
func (m *Metrics) Usage(namespace, name string) (dashboardv1alpha1.ResourceUse, bool) {
	measured, ok := m.known[[2]string{namespace, name}]
	return describe(&podSpec{}, measured).ResourceUse, ok
}

func (m *Metrics) addTo(object objects.Object) error {
	metrics, status := (*dashboardv1alpha1.PodMetrics)(nil), dashboardv1alpha1.MetricsUnavailable
	if m.Available() {
		metadata, err := object.Metadata()
		if err != nil {
			return err //nolint:wrapcheck // it has its code
		}
		status = dashboardv1alpha1.MetricsPending
		if found, ok := m.known[[2]string{metadata.Namespace, metadata.Name}]; ok {
			status = dashboardv1alpha1.MetricsAvailable
			// Item reserves memory from the memory limit of the request while it decodes the spec.
			err := objects.Item(object.Member("spec"), m.account, func(s *podSpec) error {
				metrics = describe(s, found)
				return nil
			})
			switch {
			case errors.Is(err, objects.ErrTooLarge):
				status = dashboardv1alpha1.MetricsUnavailable
			case err != nil:
				return fmt.Errorf("reading the spec of a pod: %w", err)
			}
		}
	}
	var err error
	if metrics != nil {
		if object[Field], err = json.Marshal(metrics); err != nil {
			return fmt.Errorf("encoding metrics: %w", err)
		}
	}
	if object[StatusField], err = json.Marshal(status); err != nil {
		return fmt.Errorf("encoding the status of metrics: %w", err)
	}
	return nil
}

// read returns the CPU and memory usage of the Pod that t identifies. If t has no name, read returns the usage of all
// Pods in the namespace of t. If t also has no namespace, read returns the usage of the Pods in all namespaces. The
// keys of the result are pairs of a namespace and a name.
func read(ctx context.Context, caller *scopedlist.Client, t objectref.Target) (map[[2]string]Measured, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, clusters.ErrImpatient)
	defer cancel()
	resource, served, err := caller.Served(ctx, Resource)
	if err != nil {
		return nil, err
	}
	if !served {
		return nil, errors.New("the cluster does not serve " + Resource)
	}
	found := objectref.Target{Resource: resource, Namespace: t.Namespace, Name: t.Name}
	if t.Name != "" {
		return readOne(ctx, caller, found)
	}
	answer, err := caller.ListVisible(ctx, found, nil, "")
	if err != nil {
		return nil, err
	}
	if len(answer.Bodies) == 0 {
		return nil, fmt.Errorf("the caller may not list %s", Resource)
	}
	items, err := scopedlist.Items[Measured](ctx, answer)
	if err != nil {
		return nil, err
	}
	known := make(map[[2]string]Measured, len(items))
	for _, m := range items {
		known[[2]string{m.Metadata.Namespace, m.Metadata.Name}] = m
	}
	return known, nil
}
