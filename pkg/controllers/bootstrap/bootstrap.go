// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bootstrap creates the first user of a new installation: an administrator with a generated password. It also
// registers the host cluster, because a user without a registered cluster has no rights in the dashboard.
package bootstrap

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/controllers/apply"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// stateKey is the key of the state in the ConfigMap names.BootstrapConfigMap.
	stateKey = "state"
	// stateBegun is the state while the first user and the other objects are being created. If the leader stops in this
	// state, the next leader creates the missing objects.
	stateBegun = "begun"
	// stateDone is the state in which no objects are created any more, even if an administrator deletes the first user.
	stateDone = "done"

	retryPeriod = 2 * time.Second
)

// Admin creates the first user. The manager runs it on the leader.
type Admin struct {
	// Client writes to the host cluster.
	Client client.Client
	// Live reads from the API server instead of a cache, because a cache can lack objects that an earlier leader has
	// created.
	Live client.Reader
	// KeepsPassword is true if the user need not change the generated password.
	KeepsPassword bool
	// HostCluster is the name of the KubeVisionCluster that is created for the host cluster if the host cluster is not
	// registered yet. If HostCluster is empty, no KubeVisionCluster is created.
	HostCluster string
}

// NeedLeaderElection implements manager.LeaderElectionRunnable. It returns true.
func (*Admin) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable. It creates the objects. After an error, Start tries again until all objects exist
// or ctx ends. An error occurs, for example, while a CustomResourceDefinition does not exist yet.
func (a *Admin) Start(ctx context.Context) error {
	logger := ctrl.LoggerFrom(ctx).WithName("bootstrap")
	err := wait.PollUntilContextCancel(ctx, retryPeriod, true, func(ctx context.Context) (bool, error) {
		if err := a.ensure(ctx); err != nil {
			logger.Error(err, "Failed to create the first user; retrying")
			return false, nil
		}
		return true, nil
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // told to stop
	}
	return err
}

func (a *Admin) ensure(ctx context.Context) error {
	state, err := a.state(ctx)
	if err != nil || state == stateDone {
		return err
	}
	if state == "" {
		empty, err := a.isEmpty(ctx)
		if err != nil {
			return err
		}
		if !empty {
			return a.setState(ctx, stateDone)
		}
		if err := a.setState(ctx, stateBegun); err != nil {
			return err
		}
	}
	for _, o := range a.objects() {
		err := a.Client.Create(ctx, o)
		if apierrors.IsAlreadyExists(err) {
			err = a.checkOwn(ctx, o)
		}
		if err != nil {
			return fmt.Errorf("creating %T %s: %w", o, o.GetName(), err)
		}
	}
	if err := a.registerHost(ctx); err != nil {
		return err
	}
	return a.setState(ctx, stateDone)
}

// registerHost creates a KubeVisionCluster for the host cluster, if there is none.
func (a *Admin) registerHost(ctx context.Context) error {
	if a.HostCluster == "" {
		return nil
	}
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := a.Live.List(ctx, &all); err != nil {
		return fmt.Errorf("listing clusters: %w", err)
	}
	if clusters.HostRegistration(all.Items) != nil {
		return nil
	}
	host := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: a.HostCluster},
		Spec:       kubevisionv1alpha1.KubeVisionClusterSpec{InCluster: true},
	}
	if err := a.Client.Create(ctx, host); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("registering the host: %w", err)
	}
	return nil
}

// checkOwn returns apply.ErrForeign if KubeVision has not created the existing object o. For example, o may be a
// KubeVisionUser that another client has created. This user must not become an administrator.
func (a *Admin) checkOwn(ctx context.Context, o client.Object) error {
	// Only administrators can create Secrets in KubeVision's namespace. Therefore, the password Secret is not checked.
	if _, isPassword := o.(*corev1.Secret); isPassword {
		return nil
	}
	if err := a.Live.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return fmt.Errorf("reading the existing objects: %w", err)
	}
	if o.GetLabels()[names.ManagedByLabel] != names.ManagedBy {
		return apply.ErrForeign
	}
	return nil
}

// objects returns the password Secret, the user and the role binding, in the order in which they are created.
func (a *Admin) objects() []client.Object {
	labels := map[string]string{names.ManagedByLabel: names.ManagedBy}
	return []client.Object{
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: names.AdminPasswordSecret, Labels: labels},
			Data:       map[string][]byte{names.PasswordKey: []byte(rand.Text())},
		},
		&kubevisionv1alpha1.KubeVisionUser{
			ObjectMeta: metav1.ObjectMeta{Name: names.AdminUser, Labels: labels},
			Spec: kubevisionv1alpha1.KubeVisionUserSpec{
				DisplayName: "Administrator",
				PasswordSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: names.AdminPasswordSecret,
					Key: names.PasswordKey},
				MustChangePassword: !a.KeepsPassword,
			},
		},
		&kubevisionv1alpha1.KubeVisionRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: names.AdminUser, Labels: labels},
			Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
				Subjects: []kubevisionv1alpha1.Subject{{Kind: kubevisionv1alpha1.SubjectKubeVisionUser,
					Name: names.AdminUser}},
				RoleRef: kubevisionv1alpha1.RoleReference{Kind: kubevisionv1alpha1.RoleKubeVision,
					Name: kubevisionv1alpha1.RoleAdmin},
				Clusters: kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{}},
			},
		},
	}
}

func (a *Admin) isEmpty(ctx context.Context) (bool, error) {
	var users kubevisionv1alpha1.KubeVisionUserList
	if err := a.Live.List(ctx, &users, client.Limit(1)); err != nil {
		return false, fmt.Errorf("listing users: %w", err)
	}
	return len(users.Items) == 0, nil
}

func (a *Admin) state(ctx context.Context) (string, error) {
	marker := &corev1.ConfigMap{}
	err := a.Live.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.BootstrapConfigMap}, marker)
	if client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("reading config map %s: %w", names.BootstrapConfigMap, err)
	}
	return marker.Data[stateKey], nil
}

func (a *Admin) setState(ctx context.Context, state string) error {
	marker := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: names.Namespace, Name: names.BootstrapConfigMap,
			Labels: map[string]string{names.ManagedByLabel: names.ManagedBy},
		},
		Data: map[string]string{stateKey: state},
	}
	err := a.Client.Create(ctx, marker)
	if apierrors.IsAlreadyExists(err) {
		err = a.Client.Update(ctx, marker)
	}
	if err != nil {
		return fmt.Errorf("writing config map %s: %w", names.BootstrapConfigMap, err)
	}
	return nil
}
