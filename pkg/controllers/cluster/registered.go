// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/kubeconfig"
	"github.com/kubevision-io/kubevision/pkg/controllers/clustercache"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// firstRetry is the time between the first failed probe and the next one. It doubles with each failure, up to
	// maxRetry.
	firstRetry = 5 * time.Second
	maxRetry   = time.Minute
	// undecidedRetry is the time until the next reconciliation after the error clustercache.ErrUndecided. This error
	// occurs if the cluster must be compared with another cluster whose connection is not ready yet.
	undecidedRetry = time.Second
	// expiryWarning is the remaining lifetime of a credential at which a warning is shown.
	expiryWarning = 7 * 24 * time.Hour
)

// errNoKubeconfig is returned if there is no valid kubeconfig. The conditions then contain the reason.
var errNoKubeconfig = errors.New("there is no valid kubeconfig")

// reconcileRegistered reconciles a member cluster. If the cluster cannot be reached, it sets conditions and returns no
// error.
func (r *Reconciler) reconcileRegistered(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster,
) (ctrl.Result, error) {
	secret, k, err := r.readKubeconfig(ctx, c)
	if errors.Is(err, errNoKubeconfig) {
		return ctrl.Result{}, nil // changes of the Secret are watched
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	revision := clusters.RevisionOf(c, secret)
	if r.conflictRemains(c, revision) {
		return ctrl.Result{RequeueAfter: wait.Jitter(probePeriod, probeJitter)}, nil
	}
	if left := r.retries.remaining(c.UID, revision, r.Clock.Now()); left > 0 &&
		c.Status.ObservedGeneration == c.Generation {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	before := meta.FindStatusCondition(c.Status.Conditions, kubevisionv1alpha1.ClusterCredentialsCondition)
	warned := before != nil && before.Reason == kubevisionv1alpha1.ReasonExpiresSoon
	status := c.Status.DeepCopy()
	if err := r.connect(ctx, c, revision, k); err != nil {
		return r.reportNotConnected(ctx, c, status, revision, err), nil
	}
	r.Targets.MarkExamined(c.UID)
	r.retries.forget(c.UID)
	r.reportRivals(c)
	after := wait.Jitter(probePeriod, probeJitter)
	t, err := r.Targets.Get(c)
	if err == nil {
		err = r.applyObjects(ctx, c, t)
	}
	if err != nil { // the conditions contain the reason, for example that the deleted namespace is still terminating
		ctrl.LoggerFrom(ctx).Info("The cluster is not ready", "reason", err.Error())
		after = firstRetry
	}
	r.warnOfExpiry(c, warned)
	r.summarize(c)
	c.Status.ObservedGeneration = c.Generation
	return ctrl.Result{RequeueAfter: after}, nil
}

// conflictRemains returns true if c was rejected because of an identity conflict and need not be checked again yet. A
// new check is necessary if the revision of the kubeconfig has changed, or if a probe is due.
func (r *Reconciler) conflictRemains(c *kubevisionv1alpha1.KubeVisionCluster, revision clusters.Revision) bool {
	// Conflict returns nil if one of the two connections has changed since the clusters were compared.
	return clusters.IsRefused(c) && r.Targets.Conflict(c.UID, revision) != nil && !r.probeDue(c)
}

func (r *Reconciler) reportNotConnected(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, oldStatus *kubevisionv1alpha1.KubeVisionClusterStatus,
	revision clusters.Revision, err error,
) ctrl.Result {
	// The identity cannot be checked until another cluster is connected. Until then, the connection remains open, and
	// the status remains unchanged.
	if errors.Is(err, clustercache.ErrUndecided) {
		c.Status = *oldStatus
		return ctrl.Result{RequeueAfter: undecidedRetry}
	}
	r.Targets.Close(c.Name)
	r.Targets.MarkExamined(c.UID)
	reportNotApplied(c)
	c.Status.ObservedGeneration = c.Generation
	ctrl.LoggerFrom(ctx).Info("The cluster is not connected", "reason", err.Error())
	if conflict, ok := errors.AsType[*clustercache.ConflictError](err); ok {
		r.retries.forget(c.UID)
		reportConflict(c, conflict)
		return ctrl.Result{RequeueAfter: wait.Jitter(probePeriod, probeJitter)}
	}
	if !isDisputed(c) || !clusters.IsRefused(c) { // A dispute must not end when the cluster stops responding.
		r.summarize(c)
	}
	return ctrl.Result{RequeueAfter: r.retries.next(c.UID, revision, r.Clock.Now())}
}

// isDisputed returns true if the condition IdentityConflict is True.
func isDisputed(c *kubevisionv1alpha1.KubeVisionCluster) bool {
	return meta.IsStatusConditionTrue(c.Status.Conditions, kubevisionv1alpha1.ClusterIdentityConflictCondition)
}

// connect probes the cluster if a probe is due. After it has confirmed the identity of the cluster, it connects the
// caches. It returns an error if there is no usable connection.
func (r *Reconciler) connect(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, revision clusters.Revision, k *kubeconfig.Kubeconfig,
) error {
	c.Status.APIServer, c.Status.CredentialsExpirationTime = k.Server, nil
	if !k.Expires.IsZero() {
		c.Status.CredentialsExpirationTime = &metav1.Time{Time: k.Expires}
	}
	if _, err := r.Targets.Get(c); err == nil && !r.probeDue(c) && r.Targets.Revision(c.Name) == revision {
		return nil
	}
	kube, err := r.Targets.Open(c, revision, k)
	if err != nil {
		return reportUnreachable(c, reasonOf(err), err.Error())
	}
	found, err := r.probe(ctx, c, kube)
	if err != nil {
		r.reportExpiry(c, k, err)
		return err
	}
	if err := r.confirmIdentity(ctx, c, found.ID); err != nil {
		return err
	}
	if err := r.Targets.Connect(ctx, c.Name, c.Status.ClusterID); err != nil {
		return reportUnreachable(c, reasonOf(err), err.Error())
	}
	return nil
}

// reportExpiry sets the condition CredentialsValid to False if the cluster has rejected an expired credential.
// Otherwise, it changes nothing. The parameter err is the error of the probe, which shows whether the cluster has
// rejected the credential.
func (r *Reconciler) reportExpiry(c *kubevisionv1alpha1.KubeVisionCluster, k *kubeconfig.Kubeconfig, err error) {
	if expired := k.CheckExpiry(r.Clock.Now()); expired != nil && clusters.RefusesCredential(err) {
		condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ClusterCredentialsCondition,
			metav1.ConditionFalse, kubevisionv1alpha1.ReasonExpired,
			expired.Error()+": write a kubeconfig with a new credential to the Secret")
	}
}

func reasonOf(err error) string {
	if errors.Is(err, clustercache.ErrLimitExceeded) {
		return kubevisionv1alpha1.ReasonLimitExceeded
	}
	return kubevisionv1alpha1.ReasonProbeFailed
}

// reportNotApplied sets the conditions that describe KubeVision's objects on the cluster to Unknown, because there is
// no connection.
func reportNotApplied(c *kubevisionv1alpha1.KubeVisionCluster) {
	for _, t := range []string{
		kubevisionv1alpha1.ClusterImpersonationCondition, kubevisionv1alpha1.ClusterReadCacheCondition,
	} {
		condition.Set(&c.Status.Conditions, c.Generation, t, metav1.ConditionUnknown,
			kubevisionv1alpha1.ReasonNotConnected,
			"there is no connection to the cluster")
	}
}

// readKubeconfig returns the Secret and the parsed kubeconfig. If there is no valid kubeconfig, it sets the conditions
// and returns errNoKubeconfig. The conditions contain no data of the Secret.
func (r *Reconciler) readKubeconfig(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster,
) (*corev1.Secret, *kubeconfig.Kubeconfig, error) {
	if err := clusters.CheckReference(c); err != nil {
		r.reportUnusable(c, kubevisionv1alpha1.ReasonSecretInvalid, err.Error())
		return nil, nil, errNoKubeconfig
	}
	secret := &corev1.Secret{}
	ref := c.Spec.KubeconfigSecretRef
	err := r.Client.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: ref.Name}, secret)
	if apierrors.IsNotFound(err) {
		r.reportUnusable(c, kubevisionv1alpha1.ReasonSecretNotFound,
			fmt.Sprintf("there is no Secret %s in namespace %s", ref.Name, names.Namespace))
		return nil, nil, errNoKubeconfig
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading secret %s: %w", ref.Name, err)
	}
	k, err := clusters.ReadKubeconfig(c, secret)
	if err != nil {
		r.reportUnusable(c, kubevisionv1alpha1.ReasonSecretInvalid, err.Error())
		return nil, nil, errNoKubeconfig
	}
	return secret, k, nil
}

func (r *Reconciler) reportUnusable(c *kubevisionv1alpha1.KubeVisionCluster, reason, message string) {
	r.Targets.Close(c.Name)
	r.Targets.EndConflict(c.UID)
	r.Targets.MarkExamined(c.UID)
	meta.RemoveStatusCondition(&c.Status.Conditions, kubevisionv1alpha1.ClusterIdentityConflictCondition)
	set := func(conditionType string, status metav1.ConditionStatus) {
		condition.Set(&c.Status.Conditions, c.Generation, conditionType, status, reason, message)
	}
	set(kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse)
	set(kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionUnknown)
	set(kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionFalse)
	reportNotApplied(c)
	c.Status.APIServer, c.Status.CredentialsExpirationTime = "", nil
	c.Status.ObservedGeneration = c.Generation
}

// warnOfExpiry sets the condition for a credential that expires soon. isRepeated is true if an earlier reconciliation
// has set the condition. If it is false, warnOfExpiry also emits an event.
func (r *Reconciler) warnOfExpiry(c *kubevisionv1alpha1.KubeVisionCluster, isRepeated bool) {
	ends := c.Status.CredentialsExpirationTime
	if ends == nil || ends.Sub(r.Clock.Now()) > expiryWarning {
		return
	}
	message := "the credentials in the kubeconfig expire at " + ends.UTC().Format(time.RFC3339) +
		": write a kubeconfig with new credentials to the Secret"
	condition.Set(&c.Status.Conditions, c.Generation, kubevisionv1alpha1.ClusterCredentialsCondition,
		metav1.ConditionTrue,
		kubevisionv1alpha1.ReasonExpiresSoon, message)
	if !isRepeated {
		r.Recorder.Eventf(c, nil, corev1.EventTypeWarning, kubevisionv1alpha1.ReasonExpiresSoon, "Reconcile", "%s",
			message)
	}
}

// requestsForSecret returns requests for the KubeVisionClusters that reference the Secret.
func (r *Reconciler) requestsForSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	if secret.GetNamespace() != names.Namespace {
		return nil
	}
	return r.requestsFor(ctx, func(c *kubevisionv1alpha1.KubeVisionCluster) bool {
		ref := c.Spec.KubeconfigSecretRef
		return ref != nil && ref.Name == secret.GetName()
	})
}
