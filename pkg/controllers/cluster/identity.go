// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
)

const (
	// maxIdentity bounds the length of the identity of a cluster, in bytes. The identity is the UID of the namespace
	// kube-system, which is shorter.
	maxIdentity = 64
	// maxRivals bounds the number of KubeVisionClusters that the message of the condition IdentityConflict names.
	maxRivals = 10
)

// confirmIdentity returns nil if the cluster may be used with the given identity, which is the UID of the namespace
// kube-system. It also writes the identity to status.clusterID. The caller must create objects on the cluster only
// afterwards, because finalize deletes these objects only if the status contains an identity.
func (r *Reconciler) confirmIdentity(ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, id string) error {
	if id == "" || len(id) > maxIdentity {
		return reportUnreachable(c, kubevisionv1alpha1.ReasonProbeFailed,
			"namespace kube-system has no UID: the server is not a Kubernetes API server")
	}
	if c.Status.ClusterID != "" && c.Status.ClusterID != id {
		r.Targets.EndConflict(c.UID)
		meta.RemoveStatusCondition(&c.Status.Conditions, kubevisionv1alpha1.ClusterIdentityConflictCondition)
		return reportUnreachable(c, kubevisionv1alpha1.ReasonClusterChanged,
			"the kubeconfig connects to a different cluster than before: register that cluster under another name")
	}
	all, err := r.listClusters(ctx)
	if err != nil {
		return err
	}
	if err := r.Targets.Confirm(ctx, c, id, all); err != nil {
		return err
	}
	if c.Status.ClusterID == id {
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		// With the resourceVersion, the patch fails if the KubeVisionCluster was deleted and created again.
		"metadata": map[string]any{"resourceVersion": c.ResourceVersion},
		"status":   map[string]any{"clusterID": id},
	})
	if err != nil {
		return fmt.Errorf("writing the identity of the cluster to its status: %w", err)
	}
	written := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: c.Name}}
	if err := r.Client.Status().Patch(ctx, written, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("%w: writing the identity of the cluster to its status: %w", clustercache.ErrUndecided, err)
	}
	c.Status.ClusterID = id
	return nil
}

func reportUnreachable(c *kubevisionv1alpha1.KubeVisionCluster, reason, message string) error {
	condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ClusterReachableCondition,
		metav1.ConditionFalse, reason, message)
	return errors.New(message)
}

// reportConflict sets the conditions of a KubeVisionCluster that must not be used because of an identity conflict. In
// an identity conflict, another cluster already has the same UID of the namespace kube-system. A hostile API server can
// imitate this UID. Therefore, without a proof that both are the same Kubernetes cluster, the KubeVisionCluster must
// not be used.
func reportConflict(c *kubevisionv1alpha1.KubeVisionCluster, conflict *clustercache.ConflictError) {
	reportNotApplied(c)
	condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ClusterIdentityConflictCondition,
		metav1.ConditionTrue,
		kubevisionv1alpha1.ReasonIdentityConflict, conflict.Message)
	condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonIdentityConflict, conflict.Message)
	c.Status.ObservedGeneration = c.Generation
}

// reportRivals sets the condition IdentityConflict to True if other KubeVisionClusters claim, without proof, to be the
// same Kubernetes cluster as c. If there are none, it removes the condition. The KubeVisionCluster c remains usable,
// and the others are not used. reportRivals emits an event if the message of the condition changes.
func (r *Reconciler) reportRivals(c *kubevisionv1alpha1.KubeVisionCluster) {
	rivals := r.Targets.Rivals(c)
	if len(rivals) == 0 {
		meta.RemoveStatusCondition(&c.Status.Conditions, kubevisionv1alpha1.ClusterIdentityConflictCondition)
		return
	}
	named := strings.Join(rivals[:min(len(rivals), maxRivals)], ", ")
	if more := len(rivals) - maxRivals; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	message := "another registration claims the identity of this cluster without proof, and is disabled: " + named +
		"; find out who created the registration, and delete it"
	before := meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ClusterIdentityConflictCondition)
	isKnown := before != nil && before.Status == metav1.ConditionTrue && before.Message == condition.Truncate(message)
	condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ClusterIdentityConflictCondition,
		metav1.ConditionTrue,
		kubevisionv1alpha1.ReasonIdentityConflict, message)
	if !isKnown {
		r.Recorder.Eventf(c, nil, corev1.EventTypeWarning, kubevisionv1alpha1.ReasonIdentityConflict, "Reconcile", "%s",
			message)
	}
}
