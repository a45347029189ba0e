// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
)

// probeTimeout bounds one probe.
const probeTimeout = 10 * time.Second

// Finding is what a probe found.
type Finding struct {
	Version   string
	APIServer string
	Nodes     kubevisionv1alpha1.NodeCount
}

// Prober looks at a cluster.
type Prober interface {
	Probe(ctx context.Context) (Finding, error)
}

// NewProber looks at the cluster that the configuration leads to.
func NewProber(config *rest.Config) (Prober, error) {
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return &prober{kube: kube, host: config.Host}, nil
}

type prober struct {
	kube kubernetes.Interface
	host string
}

// Probe asks for the version and the nodes. The nodes may be a little old: they come from the API server's own cache.
func (p *prober) Probe(ctx context.Context) (Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	version, err := p.kube.Discovery().ServerVersionWithContext(ctx)
	if err != nil {
		return Finding{}, fmt.Errorf("asking for the version: %w", err)
	}
	nodes, err := p.kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return Finding{}, fmt.Errorf("listing nodes: %w", err)
	}
	found := Finding{Version: version.GitVersion, APIServer: p.host}
	for i := range nodes.Items {
		found.Nodes.Total++
		if ready(&nodes.Items[i]) {
			found.Nodes.Ready++
		}
	}
	return found, nil
}

func ready(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// probe notes what a probe found. A cluster that cannot be reached is a finding and no error: the next probe is due anyway.
func (r *Reconciler) probe(ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster) {
	set := func(conditionType string, status metav1.ConditionStatus, reason, message string) {
		condition.Set(&c.Status.Conditions, c.Generation, conditionType, status, reason, message)
	}
	found, err := r.Prober.Probe(ctx)
	c.Status.LastProbeTime = &metav1.Time{Time: r.Clock.Now().Truncate(time.Second)}
	switch {
	case apierrors.IsUnauthorized(err):
		set(kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionTrue, kubevisionv1alpha1.ReasonProbeSucceeded, "the API server answers")
		set(kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionFalse, kubevisionv1alpha1.ReasonUnauthorized, err.Error())
	case err != nil:
		set(kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionFalse, kubevisionv1alpha1.ReasonProbeFailed, err.Error())
		set(kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionUnknown, kubevisionv1alpha1.ReasonProbeFailed, "the API server could not be asked")
	default:
		c.Status.Version, c.Status.APIServer, c.Status.Nodes = found.Version, found.APIServer, &found.Nodes
		set(kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionTrue, kubevisionv1alpha1.ReasonProbeSucceeded, "the API server answers")
		set(kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionTrue, kubevisionv1alpha1.ReasonAccepted, "the API server accepts the credentials")
	}
}

// summarize sets Ready: false with the reason of the first condition that is not true.
func (r *Reconciler) summarize(c *kubevisionv1alpha1.KubeVisionCluster) {
	for _, t := range []string{kubevisionv1alpha1.ClusterReachableCondition, kubevisionv1alpha1.ClusterCredentialsCondition,
		kubevisionv1alpha1.ClusterImpersonationCondition} {
		if found := meta.FindStatusCondition(c.Status.Conditions, t); found != nil && found.Status != metav1.ConditionTrue {
			condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse, found.Reason, found.Message)
			return
		}
	}
	condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ReadyCondition, metav1.ConditionTrue, kubevisionv1alpha1.ReasonReady,
		"the cluster can be used")
}
