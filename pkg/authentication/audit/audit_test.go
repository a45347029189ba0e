// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	apiserveraudit "k8s.io/apiserver/pkg/audit"
)

// TestAnnotations verifies the audit event of a failed login that locks the account and blocks the IP address. The
// event must have separate annotations for the failure, for the account and for the IP address.
func TestAnnotations(t *testing.T) {
	ctx := apiserveraudit.WithAuditContext(t.Context())
	ac := apiserveraudit.AuditContextFrom(ctx)
	if err := ac.Init(apiserveraudit.RequestAuditConfig{Level: auditinternal.LevelMetadata}, nil); err != nil {
		t.Fatal(err)
	}
	l := &Log{}
	for _, reason := range []Reason{LoginFailed, AccountLocked, AddressBlocked, LoginBlocked} {
		l.Record(ctx, Event{Reason: reason})
	}
	want := map[string]string{
		"authentication.kubevision.io/reason":  "LoginFailed",
		"authentication.kubevision.io/account": "AccountLocked",
		"authentication.kubevision.io/address": "AddressBlocked",
	}
	if diff := cmp.Diff(want, ac.GetEventAnnotations()); diff != "" {
		t.Errorf("the annotations (-want +got):\n%s", diff)
	}
}
