// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
)

// probeTimeout bounds the duration of a probe.
const probeTimeout = 10 * time.Second

// ProbeResult is the result of a probe of a cluster.
type ProbeResult struct {
	// ID is the UID of the namespace kube-system in the response of the API server. A hostile API server can choose it.
	ID      string
	Version string
	Nodes   kubevisionv1alpha1.NodeCount
}

// stepError is the error of one request of a probe, with a description of the request.
type stepError struct {
	step string
	err  error
}

func (e *stepError) Error() string { return e.step + ": " + e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// Probe reads the version of the API server of a cluster, the UID of the namespace kube-system, and the number of
// nodes.
func Probe(ctx context.Context, kube kubernetes.Interface) (ProbeResult, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	version, err := clusters.ServerVersion(ctx, kube.Discovery())
	if err != nil {
		return ProbeResult{}, &stepError{"asking for the version", err}
	}
	system, err := kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{ResourceVersion: "0"})
	if err != nil {
		return ProbeResult{}, &stepError{"reading namespace " + metav1.NamespaceSystem, response.Error(ctx, err)}
	}
	id, err := clusters.ID(system)
	if err != nil {
		return ProbeResult{}, &stepError{"reading namespace " + metav1.NamespaceSystem, err}
	}
	nodes, err := countNodes(ctx, kube.CoreV1().RESTClient())
	if err != nil {
		return ProbeResult{}, &stepError{"listing nodes", err}
	}
	return ProbeResult{ID: id, Version: version, Nodes: nodes}, nil
}

// probe probes the cluster, and writes the version, the number of nodes and the conditions to the status. It does not
// write the identity of the cluster, because the identity is not confirmed yet. It returns an error if the probe has
// failed. The conditions then contain the reason.
func (r *Reconciler) probe(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, kube kubernetes.Interface,
) (ProbeResult, error) {
	found, err := Probe(ctx, kube)
	c.Status.LastProbeTime = &metav1.Time{Time: r.Clock.Now().Truncate(time.Second)}
	if err == nil {
		c.Status.Version, c.Status.Nodes = found.Version, &found.Nodes
	}
	reportProbe(c, err)
	return found, err
}

func reportProbe(c *kubevisionv1alpha1.KubeVisionCluster, err error) {
	set := func(conditionType string, status metav1.ConditionStatus, reason, message string) {
		condition.Set(&c.Status.Conditions, c.Generation, conditionType, status, reason, message)
	}
	reachable := func() {
		set(kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionTrue, kubevisionv1alpha1.ReasonProbeSucceeded,
			"the API server responds")
	}
	var status apierrors.APIStatus
	switch typed := response.IsTyped(err); {
	case err == nil:
		reachable()
		set(kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionTrue, kubevisionv1alpha1.ReasonAccepted,
			"the API server accepts the credentials")
	case typed && apierrors.IsUnauthorized(err):
		reachable()
		set(kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionFalse,
			kubevisionv1alpha1.ReasonUnauthorized,
			"the API server does not accept the credentials: write a kubeconfig with valid credentials to the Secret")
	case typed && apierrors.IsForbidden(err):
		reachable()
		set(kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionFalse, kubevisionv1alpha1.ReasonForbidden,
			"the credentials do not allow "+failedStep(err)+": they must have the rights of a cluster administrator")
	case errors.Is(err, addresspolicy.ErrRefused):
		set(kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionFalse,
			kubevisionv1alpha1.ReasonAddressRefused,
			"KubeVision may not connect to this address; an operator can allow it with --cluster-addresses-allowed")
		set(kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionUnknown,
			kubevisionv1alpha1.ReasonAddressRefused, "the API server was not called")
	default:
		message := err.Error()
		if errors.As(err, &status) { // the response may not come from an API server and must not be quoted
			message = fmt.Sprintf("%s: the response had HTTP status %d", failedStep(err), status.Status().Code)
		}
		if typed && errors.As(err, &status) {
			message += ": " + status.Status().Message
		}
		set(kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionFalse, kubevisionv1alpha1.ReasonProbeFailed,
			message)
		set(kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionUnknown,
			kubevisionv1alpha1.ReasonProbeFailed, "the API server could not be called")
	}
}

func failedStep(err error) string {
	if e, ok := errors.AsType[*stepError](err); ok {
		return e.step
	}
	return "probing"
}
