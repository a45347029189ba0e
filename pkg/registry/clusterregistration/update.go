// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterregistration

import (
	"cmp"
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// update changes those fields of the KubeVisionCluster that are in the body, and replaces the kubeconfig if the body
// contains one. If one of the changes fails, it reverts the others.
func (e *Provider) update(r *routes.Request, a *hostobjects.Client) (routes.Result, error) {
	var body dashboardv1alpha1.UpdateClusterRequest
	if err := r.ReadJSON(&body); err != nil {
		return routes.Result{}, err
	}
	if body.Kubeconfig != nil {
		if err := e.checkKubeconfig(*body.Kubeconfig); err != nil {
			return routes.Result{}, err
		}
	}
	ctx := r.Context()
	c, err := find(ctx, a, r.Path(paramCluster))
	if err != nil {
		return routes.Result{}, err
	}
	if err := hostobjects.CheckVersion(body.ResourceVersion, c); err != nil {
		return routes.Result{}, err
	}
	steps, err := changes(ctx, a, c, &body)
	if err != nil {
		return routes.Result{}, err
	}
	if err := a.Apply(ctx, steps...); err != nil {
		return routes.Result{}, err
	}
	now, err := find(ctx, a, c.Name)
	if err != nil {
		return routes.Result{}, err
	}
	return routes.Result{Data: describe(now, true)}, nil
}

func changes(
	ctx context.Context, a *hostobjects.Client, c *kubevisionv1alpha1.KubeVisionCluster,
	body *dashboardv1alpha1.UpdateClusterRequest,
) ([]hostobjects.Step, error) {
	changed := c.DeepCopy()
	if body.DisplayName != nil {
		changed.Spec.DisplayName = *body.DisplayName
	}
	if body.Labels != nil {
		changed.Labels = body.Labels
	}
	patch := a.WriteErrorFor(hostobjects.Action("patch", kubevisionv1alpha1.ResourceClusters, c.Name))
	registration := hostobjects.Patch("cluster "+c.Name, c, changed, body.ResourceVersion, patch)
	if body.Kubeconfig == nil {
		return []hostobjects.Step{registration}, nil
	}
	replacement, err := kubeconfigStep(ctx, a, c, *body.Kubeconfig)
	return []hostobjects.Step{registration, replacement}, err
}

// kubeconfigStep returns the step that writes a new kubeconfig to the Secret of c, or creates the Secret. It returns an
// error if the Secret exists but contains no kubeconfig.
func kubeconfigStep(
	ctx context.Context, a *hostobjects.Client, c *kubevisionv1alpha1.KubeVisionCluster, text string,
) (hostobjects.Step, error) {
	ref := c.Spec.KubeconfigSecretRef
	if ref == nil {
		return hostobjects.Step{}, envelope.Invalid(field, "the host cluster needs no kubeconfig")
	}
	key := cmp.Or(ref.Key, field)
	secret := &corev1.Secret{}
	err := a.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: ref.Name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return hostobjects.Create("Secret "+ref.Name, func() client.Object { return newSecret(c, ref.Name, key, text) },
			a.WriteErrorFor(hostobjects.SecretAction("create", ref.Name))), nil
	case err != nil:
		return hostobjects.Step{}, envelope.FromAPIError(err)
	case len(secret.Data[key]) == 0:
		return hostobjects.Step{}, envelope.New(dashboardv1alpha1.CodeConflict,
			"the Secret %s has no key %s: correct it with kubectl", ref.Name, key)
	}
	return hostobjects.Step{Object: "Secret " + ref.Name, Do: func(ctx context.Context, w client.Client) error {
		written := secret.DeepCopy()
		written.Data[key] = []byte(text)
		return a.WriteError(ctx, w.Update(ctx, written), hostobjects.SecretAction("update", ref.Name))
	}}, nil
}
