// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package sessionindex

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/audit"
)

// End deletes a session that exceeds the limits, and records the audit event SessionDisplaced. It does nothing if the
// session no longer exists. It also does nothing if the session has changed since it was indexed, for example because
// it was renewed.
func End(ctx context.Context, c client.Client, log *audit.Log, s Session) error {
	unchanged := client.Preconditions{UID: &s.UID, ResourceVersion: &s.ResourceVersion}
	err := c.Delete(ctx, &kubevisionv1alpha1.KubeVisionSession{ObjectMeta: metav1.ObjectMeta{Name: s.Name}}, unchanged)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ending session %s beyond the limit: %w", s.Name, err)
	}
	owner := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: s.UserName, UID: s.UserUID}}
	log.Record(ctx, audit.Event{Reason: audit.SessionDisplaced, User: owner, Session: s.Name})
	return nil
}

// EndAll deletes the sessions, and returns the number of sessions that it has deleted. After an error, it continues
// with the other sessions. It returns all errors at the end.
func EndAll(
	ctx context.Context, c client.Writer, sessions []kubevisionv1alpha1.KubeVisionSession,
) (ended int32, err error) {
	var errs []error
	for i := range sessions {
		err := c.Delete(ctx, &sessions[i])
		switch {
		case err == nil:
			ended++
		case !apierrors.IsNotFound(err):
			errs = append(errs, fmt.Errorf("ending session %s: %w", sessions[i].Name, err))
		}
	}
	return ended, errors.Join(errs...)
}
