// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authentication

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/klog/v2"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/sessionindex"
)

// createSession creates a session, and ends older sessions beyond the limits. The session controller ends what remains beyond
// them, for example after logins on several replicas at once.
func (l *Logins) createSession(ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, session *kubevisionv1alpha1.KubeVisionSession) error {
	var group sync.WaitGroup
	defer group.Wait()
	for _, s := range l.Sessions.Excess(u.UID, 1, l.Limits) {
		group.Go(func() {
			if err := sessionindex.End(ctx, l.Client, l.Audit, s); err != nil {
				klog.FromContext(ctx).Error(err, "Making room for a session", "user", u.Name)
			}
		})
	}
	if err := l.Client.Create(ctx, session); err != nil {
		return fmt.Errorf("creating the session: %w", err)
	}
	return nil
}
