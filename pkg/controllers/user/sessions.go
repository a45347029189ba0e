// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// reconcileSessions deletes all sessions of a disabled user. For other users, it deletes the sessions that began before
// the last change of the credentials.
func (r *Reconciler) reconcileSessions(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser) error {
	var sessions kubevisionv1alpha1.KubeVisionSessionList
	if err := r.Client.List(ctx, &sessions, client.MatchingFields{sessionUserIndex: u.Name}); err != nil {
		return fmt.Errorf("listing the sessions of the user: %w", err)
	}
	noteLogin(u, sessions.Items)
	if u.Spec.Disabled {
		return r.endSessions(ctx, sessions.Items)
	}
	over, err := r.endedSessions(ctx, r.Client, u, sessions.Items)
	if err != nil || len(over) == 0 {
		return err
	}
	// The caches of credentials and sessions are independent. If the cache of credentials is stale, a session that has
	// just started appears to be invalid. Therefore, the sessions are checked again with Live before they are deleted.
	if over, err = r.endedSessions(ctx, r.Live, u, over); err != nil {
		return err
	}
	return r.endSessions(ctx, over)
}

// noteLogin sets status.lastLoginTime to the creation time of the latest session. It does not reset the field after the
// deletion of this session.
func noteLogin(u *kubevisionv1alpha1.KubeVisionUser, sessions []kubevisionv1alpha1.KubeVisionSession) {
	for i := range sessions {
		created := sessions[i].CreationTimestamp
		if sessions[i].Spec.UserUID == u.UID &&
			(u.Status.LastLoginTime == nil || u.Status.LastLoginTime.Before(&created)) {
			u.Status.LastLoginTime = &created
		}
	}
}

// endedSessions returns the sessions that are no longer valid according to the credentials of the user. If the user has
// no credentials, it returns all sessions.
func (r *Reconciler) endedSessions(
	ctx context.Context, reader client.Reader, u *kubevisionv1alpha1.KubeVisionUser,
	sessions []kubevisionv1alpha1.KubeVisionSession,
) ([]kubevisionv1alpha1.KubeVisionSession, error) {
	secret := &corev1.Secret{}
	err := reader.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: names.CredentialsSecret(u.Name)},
		secret)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the credentials: %w", err)
	}
	var out []kubevisionv1alpha1.KubeVisionSession
	for i := range sessions {
		if err != nil || !credentials.InForce(secret, sessions[i].Name, sessions[i].Spec.CredentialsEpoch) {
			out = append(out, sessions[i])
		}
	}
	return out, nil
}

func (r *Reconciler) endSessions(ctx context.Context, sessions []kubevisionv1alpha1.KubeVisionSession) error {
	_, err := sessionindex.EndAll(ctx, r.Client, sessions)
	if len(sessions) > 0 {
		ctrl.LoggerFrom(ctx).Info("Sessions ended", "sessions", len(sessions))
	}
	return err
}
