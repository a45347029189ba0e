// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// remove deletes the KubeVisionUser in the path, and the objects that were created for the user. It waits until the
// user is deleted, or until a timeout.
func (e *Provider) remove(r *routes.Request, a *administrator) (routes.Result, error) {
	ctx := r.Context()
	u, err := a.find(ctx, r.Path(paramUser))
	if err != nil {
		return routes.Result{}, err
	}
	step := hostobjects.Step{Object: "user " + u.Name, Do: func(ctx context.Context, c client.Client) error {
		return a.WriteError(ctx, client.IgnoreNotFound(c.Delete(ctx, u, hostobjects.UIDPrecondition(u))),
			hostobjects.Action("delete", kubevisionv1alpha1.ResourceUsers, u.Name))
	}}
	if err := a.Apply(ctx, step); err != nil {
		return routes.Result{}, err
	}
	a.deleteDependents(ctx, u)
	return e.waitUntilInForce(ctx, "the deletion", func(ctx context.Context) (bool, error) {
		now := &kubevisionv1alpha1.KubeVisionUser{}
		err := e.Live.Get(ctx, client.ObjectKeyFromObject(u), now)
		return apierrors.IsNotFound(err) || now.UID != u.UID, client.IgnoreNotFound(err)
	})
}

// deleteDependents deletes the password Secret and the binding that u owns. The name of the user can then be reused
// before the garbage collector runs. deleteDependents acts as the caller. Objects that the caller may not delete are
// left to the garbage collector.
func (a *administrator) deleteDependents(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) {
	for key, object := range map[types.NamespacedName]client.Object{
		{Name: names.UserGrant(u.Name)}:                            &kubevisionv1alpha1.KubeVisionRoleBinding{},
		{Namespace: names.Namespace, Name: passwordSecret(u.Name)}: &corev1.Secret{},
	} {
		err := a.Get(ctx, key, object)
		if err == nil && hostobjects.IsOwnedBy(object, u) {
			err = a.Delete(ctx, object, hostobjects.UIDPrecondition(object))
		}
		if client.IgnoreNotFound(err) != nil {
			klog.FromContext(ctx).V(2).Info("Left to the garbage collector", "object", key.String(), "error",
				err.Error())
		}
	}
}
