// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/autherrors"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	// patience bounds the time for which an endpoint waits until a controller has processed a change.
	patience = 10 * time.Second
	// interval is the time between two checks of whether a controller has processed a change.
	interval = 50 * time.Millisecond
)

func (a *administrator) replacePassword(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, mustChange bool,
	hash func() (password.Hash, error),
) (string, error) {
	ref := u.Spec.PasswordSecretRef
	if ref == nil {
		ref = &kubevisionv1alpha1.SecretKeyReference{Name: passwordSecret(u.Name)}
	}
	key := cmp.Or(ref.Key, names.PasswordKey)
	changed := u.DeepCopy()
	changed.Spec.MustChangePassword = mustChange
	whole := changed.DeepCopy()
	whole.Spec.PasswordSecretRef = ref
	// Hashing is expensive. Therefore, all writes are first executed as dry runs.
	trial := &administrator{&hostobjects.Client{Info: a.Info, Client: client.NewDryRunClient(a.Client.Client)}}
	if _, err := trial.writeSecret(ctx, u, ref.Name, key, password.Placeholder().String()); err != nil {
		return "", err
	}
	if err := trial.Patch(ctx, whole, client.MergeFrom(u)); err != nil {
		return "", envelope.FromAPIError(err)
	}
	made, err := hash()
	if err != nil {
		return "", autherrors.Map(err)
	}
	// If the Secret were written first, the user could log in with the new password before mustChangePassword is set.
	if err := a.Patch(ctx, changed, client.MergeFrom(u)); err != nil {
		return "", envelope.FromAPIError(err)
	}
	secret, err := a.writeSecret(ctx, u, ref.Name, key, made.String())
	if err != nil {
		return "", err
	}
	if u.Spec.PasswordSecretRef == nil {
		referring := changed.DeepCopy()
		referring.Spec.PasswordSecretRef = ref
		if err := a.Patch(ctx, referring, client.MergeFrom(changed)); err != nil {
			return "", envelope.FromAPIError(err)
		}
	}
	// The annotation PasswordSourceAnnotation begins with this text after a controller has imported the Secret.
	return string(secret.UID) + "/" + secret.ResourceVersion + "/", nil
}

func (a *administrator) writeSecret(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, name, key, value string,
) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := a.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		secret = newPasswordSecret(u, name, key, value)
		err = a.Create(ctx, secret)
	case err != nil:
	case u.Spec.PasswordSecretRef == nil:
		return nil, envelope.New(dashboardv1alpha1.CodeConflict,
			"the Secret %s exists and does not belong to the user: name another one in spec.passwordSecretRef", name)
	case credentials.BelongsToOther(secret, u.Name):
		return nil, envelope.New(dashboardv1alpha1.CodeConflict,
			"the Secret %s contains the password of another user: name another one in spec.passwordSecretRef", name)
	case len(secret.Data[key]) == 0: // A Secret without the key contains no password and must not be changed.
		return nil, envelope.New(dashboardv1alpha1.CodeConflict,
			"the Secret %s has no key %s: correct it, or name another one in spec.passwordSecretRef", name, key)
	default:
		secret.Data[key] = []byte(value)
		err = a.Update(ctx, secret)
	}
	if err != nil {
		return nil, envelope.FromAPIError(err)
	}
	return secret, nil
}

func passwordSecret(user string) string { return user + "-password" }

// newPasswordSecret returns a Secret with the given name, key and value. The owner of the Secret is u.
func newPasswordSecret(u *kubevisionv1alpha1.KubeVisionUser, name, key, value string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: names.Namespace, Name: name, Labels: map[string]string{names.UserLabel: u.Name},
			OwnerReferences: kubevisionv1alpha1.OwnerReferences(kubevisionv1alpha1.KindUser, u),
		},
		Data: map[string][]byte{key: []byte(value)},
	}
}

// isResetComplete returns true if all sessions of u with older credentials have ended. If version is not empty, the
// controller must also have imported this version of the password Secret.
func (e *Provider) isResetComplete(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, version string,
) (bool, error) {
	secret := &corev1.Secret{}
	err := e.Live.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.CredentialsSecret(u.Name)},
		secret)
	if err != nil { // a user without credentials has no sessions
		return version == "", client.IgnoreNotFound(err)
	}
	var sessions kubevisionv1alpha1.KubeVisionSessionList
	if err := e.Live.List(ctx, &sessions, client.MatchingLabels{names.UserLabel: u.Name}); err != nil {
		return false, fmt.Errorf("listing sessions: %w", err)
	}
	old := slices.ContainsFunc(sessions.Items, func(s kubevisionv1alpha1.KubeVisionSession) bool {
		return !credentials.InForce(secret, s.Name, s.Spec.CredentialsEpoch)
	})
	return !old && strings.HasPrefix(secret.Annotations[credentials.PasswordSourceAnnotation], version), nil
}

// waitUntilInForce waits until check() returns true, which means that a change is in force. After a timeout, it returns
// a warning that the change is not in force yet. change is the name of the change, such as "the reset".
func (e *Provider) waitUntilInForce(
	ctx context.Context, change string, check wait.ConditionWithContextFunc,
) (routes.Result, error) {
	err := wait.PollUntilContextTimeout(ctx, interval, patience, true, check)
	if wait.Interrupted(err) {
		return routes.Result{Meta: dashboardv1alpha1.Meta{
			Warnings: []string{change +
				" is accepted, but not in force yet: kubevision-controller-manager has not processed it"},
		}}, nil
	}
	return routes.Result{}, err
}
