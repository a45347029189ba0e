// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters/kubeconfig"
	"github.com/kubevision-io/kubevision/pkg/controllers/condition"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// kubeconfigKey is the default key of a kubeconfig in its Secret.
	kubeconfigKey = "kubeconfig"

	notConnected = "KubeVision serves only the cluster that it runs in; register that with inCluster: true"
)

// reconcileRegistered says what there is to say of a cluster that is registered by kubeconfig: whether the kubeconfig is one that may be used.
func (r *Reconciler) reconcileRegistered(ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster) error {
	found, reason, message, err := r.readKubeconfig(ctx, c.Spec.KubeconfigSecretRef)
	if err != nil {
		return err
	}
	set := func(conditionType string, status metav1.ConditionStatus, reason, message string) {
		condition.Set(&c.Status.Conditions, c.Generation, conditionType, status, reason, message)
	}
	c.Status.APIServer, c.Status.CredentialsExpirationTime = "", nil
	if found == nil {
		set(kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse, reason, message)
		set(kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionFalse, reason, message)
	} else {
		c.Status.APIServer = found.Server
		if !found.Expires.IsZero() {
			c.Status.CredentialsExpirationTime = &metav1.Time{Time: found.Expires}
		}
		set(kubevisionv1alpha1.ReadyCondition, metav1.ConditionFalse, kubevisionv1alpha1.ReasonNotConnected, notConnected)
		set(kubevisionv1alpha1.ClusterCredentialsCondition, metav1.ConditionUnknown, kubevisionv1alpha1.ReasonNotConnected, notConnected)
	}
	set(kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionUnknown, kubevisionv1alpha1.ReasonNotConnected, notConnected)
	set(kubevisionv1alpha1.ClusterImpersonationCondition, metav1.ConditionUnknown, kubevisionv1alpha1.ReasonNotConnected, notConnected)
	return nil
}

// readKubeconfig is nil where the Secret holds none that may be used; the reason and message say why, and never what is in it.
func (r *Reconciler) readKubeconfig(
	ctx context.Context, ref *kubevisionv1alpha1.SecretKeyReference,
) (found *kubeconfig.Kubeconfig, reason, message string, err error) {
	if names.OwnSecret(ref.Name) {
		return nil, kubevisionv1alpha1.ReasonSecretInvalid, "Secret " + ref.Name + " is KubeVision's own; make one for the kubeconfig and name that", nil
	}
	secret := &corev1.Secret{}
	err = r.Client.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: ref.Name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, kubevisionv1alpha1.ReasonSecretNotFound, fmt.Sprintf("there is no Secret %s in namespace %s", ref.Name, names.Namespace), nil
	}
	if err != nil {
		return nil, "", "", fmt.Errorf("reading secret %s: %w", ref.Name, err)
	}
	key := cmp.Or(ref.Key, kubeconfigKey)
	found, err = kubeconfig.Parse(secret.Data[key])
	if err != nil {
		return nil, kubevisionv1alpha1.ReasonSecretInvalid, fmt.Sprintf("key %s of Secret %s: %v", key, ref.Name, err), nil
	}
	return found, "", "", nil
}

// clustersOfSecret are those whose kubeconfig is in a Secret.
func (r *Reconciler) clustersOfSecret(ctx context.Context, secret client.Object) []reconcile.Request {
	if secret.GetNamespace() != names.Namespace {
		return nil
	}
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := r.Client.List(ctx, &all); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing clusters")
		return nil
	}
	var requests []reconcile.Request
	for i := range all.Items {
		if ref := all.Items[i].Spec.KubeconfigSecretRef; ref != nil && ref.Name == secret.GetName() {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
		}
	}
	return requests
}
