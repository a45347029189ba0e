// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit records authentication events in four places:
//   - the log
//   - Kubernetes events about the user
//   - annotations of the audit events of the API server
//   - a metric
//
// Only the log contains the address of the client and the cause.
package audit

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiserveraudit "k8s.io/apiserver/pkg/audit"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// Reason is the kind of an authentication event. It is also the reason of the Kubernetes event.
type Reason string

// Values of Reason.
const (
	LoggedIn            Reason = "LoggedIn"
	LoginFailed         Reason = "LoginFailed"
	LoginBlocked        Reason = "LoginBlocked"
	AccountLocked       Reason = "AccountLocked"
	AddressBlocked      Reason = "AddressBlocked"
	SecondFactorDue     Reason = "SecondFactorDue"
	SecondFactorFailed  Reason = "SecondFactorFailed"
	SecondFactorBlocked Reason = "SecondFactorBlocked"
	SecondFactorSetUp   Reason = "SecondFactorSetUp"
	// SecondFactorSetUpRefused means that the password for the set-up of a second factor was wrong.
	SecondFactorSetUpRefused Reason = "SecondFactorSetUpRefused"
	// FreshCodeFailed means that a user has entered a wrong code in a session. FreshCodeBlocked means that further
	// codes in the session are rejected for some time.
	FreshCodeFailed      Reason = "FreshCodeFailed"
	FreshCodeBlocked     Reason = "FreshCodeBlocked"
	SecondFactorEnabled  Reason = "SecondFactorEnabled"
	SecondFactorDisabled Reason = "SecondFactorDisabled"
	SecondFactorVerified Reason = "SecondFactorVerified"
	// SessionVerified means that sensitive operations in a session need no code for some minutes. VerifiedSessionUsed
	// means that such an operation was executed without a code.
	SessionVerified       Reason = "SessionVerified"
	VerifiedSessionUsed   Reason = "VerifiedSessionUsed"
	RecoveryCodeUsed      Reason = "RecoveryCodeUsed"
	RecoveryCodesRenewed  Reason = "RecoveryCodesRenewed"
	PasswordChanged       Reason = "PasswordChanged"
	PasswordChangeRefused Reason = "PasswordChangeRefused"
	PasswordChangeBlocked Reason = "PasswordChangeBlocked"
	PasswordReset         Reason = "PasswordReset"
	SecondFactorReset     Reason = "SecondFactorReset"
	RefreshTokenReused    Reason = "RefreshTokenReused"
	SessionEnded          Reason = "SessionEnded"
	SessionDisplaced      Reason = "SessionDisplaced"
	SecretRevealed        Reason = "SecretRevealed"
)

const (
	// annotation is the key of the Reason in an audit event. An audit event keeps only the first value of each key. The
	// reasons AccountLocked and AddressBlocked have separate keys, because they follow another reason in the same
	// request.
	annotation        = "authentication.kubevision.io/reason"
	accountAnnotation = "authentication.kubevision.io/account"
	addressAnnotation = "authentication.kubevision.io/address"
	// action is the action of all Kubernetes events.
	action = "Authentication"
)

// Event is an authentication event.
type Event struct {
	Reason Reason
	// User is the user whom the event concerns, or nil if there is no such user.
	User *kubevisionv1alpha1.KubeVisionUser
	// Actor is the author of a change. It is empty if the author is User.
	Actor string
	// Address is the IP address of the client.
	Address string
	// Session is the name of the KubeVisionSession that the event concerns.
	Session string
	// Detail describes the event in the log, for example the cause of a failed login. It contains no unverified data of
	// the client.
	Detail string
}

// Log records authentication events.
type Log struct {
	// Recorder emits Kubernetes events.
	Recorder events.EventRecorder
}

// Record counts the authentication event e in a metric. If the reason is LoginBlocked, Record does nothing else. For
// all other reasons, Record also writes e to the log and to the audit log of the API server. If e has a user and
// emitsEvent returns true for the reason, Record also creates a Kubernetes event about the user.
func (l *Log) Record(ctx context.Context, e Event) {
	recorded.WithLabelValues(string(e.Reason)).Inc()
	// LoginBlocked appears only in the metric, because clients can cause this event at any rate. The beginning of the
	// lockout was recorded as AccountLocked or AddressBlocked.
	if e.Reason == LoginBlocked {
		return
	}
	apiserveraudit.AddAuditAnnotation(ctx, annotationOf(e.Reason), string(e.Reason))
	fields := []any{"reason", string(e.Reason)}
	for _, f := range [][2]string{{"user", userName(e.User)}, {"actor", e.Actor}, {"address", e.Address},
		{"session", e.Session}, {"detail", e.Detail}} {
		if f[1] != "" {
			fields = append(fields, f[0], f[1])
		}
	}
	klog.FromContext(ctx).WithName("audit").Info("Security event", fields...)
	if e.User != nil && emitsEvent(e.Reason) {
		l.Recorder.Eventf(Reference(e.User), nil, severity(e.Reason), string(e.Reason), action, "%s", note(e))
	}
}

// annotationOf returns the key under which an audit event contains the reason.
func annotationOf(r Reason) string {
	switch r {
	case AccountLocked:
		return accountAnnotation
	case AddressBlocked:
		return addressAnnotation
	default:
		return annotation
	}
}

func userName(u *kubevisionv1alpha1.KubeVisionUser) string {
	if u == nil {
		return ""
	}
	return u.Name
}

// Reference returns a reference to u for Kubernetes events about u. The namespace of the reference is KubeVision's
// namespace, although a KubeVisionUser has no namespace. Otherwise, the events would be in the namespace default, where
// many users may read events. The reference has no resource version, because repeated events are combined only if their
// references are equal.
func Reference(u *kubevisionv1alpha1.KubeVisionUser) runtime.Object {
	return &corev1.ObjectReference{
		APIVersion: kubevisionv1alpha1.SchemeGroupVersion.String(), Kind: "KubeVisionUser", Namespace: names.Namespace,
		Name: u.Name, UID: u.UID,
	}
}

func emitsEvent(r Reason) bool { return r != SecondFactorDue && r != SecondFactorSetUp }

func severity(r Reason) string {
	switch r {
	case LoginFailed, AccountLocked, SecondFactorFailed, SecondFactorBlocked, SecondFactorSetUpRefused,
		FreshCodeFailed, FreshCodeBlocked, RefreshTokenReused, PasswordChangeRefused, PasswordChangeBlocked:
		return corev1.EventTypeWarning
	default:
		return corev1.EventTypeNormal
	}
}

// note returns the message of the Kubernetes event about e. The message contains neither the address of the client nor
// the cause. Both are confidential and appear only in the log.
func note(e Event) string {
	out := map[Reason]string{
		LoggedIn:                 "logged in",
		LoginFailed:              "a login failed",
		AccountLocked:            "too many logins failed: further logins must wait",
		SecondFactorFailed:       "a code of the second factor was not accepted",
		SecondFactorBlocked:      "too many codes were wrong: further codes must wait",
		SecondFactorSetUpRefused: "a second factor was not set up, because the password was wrong",
		FreshCodeFailed:          "a code for a sensitive operation was not accepted",
		FreshCodeBlocked:         "too many codes were wrong: the session must wait",
		SecondFactorEnabled:      "a second factor is in force",
		SecondFactorDisabled:     "the second factor was removed",
		SecondFactorVerified:     "a fresh code allowed a sensitive operation",
		SessionVerified: "a code verified the session: sensitive operations need no fresh code for five " +
			"minutes",
		VerifiedSessionUsed:   "a verified session performed a sensitive operation",
		RecoveryCodeUsed:      "a recovery code was used",
		RecoveryCodesRenewed:  "the recovery codes were replaced",
		PasswordChanged:       "the password was changed",
		PasswordChangeRefused: "the password was not changed, because the old password was wrong",
		PasswordChangeBlocked: "too many passwords were wrong: the session must wait",
		PasswordReset:         "the password was reset",
		SecondFactorReset:     "the second factor was reset",
		RefreshTokenReused:    "a spent refresh token was used again: the session has ended",
		SessionEnded:          "a session was ended",
		SessionDisplaced:      "there were too many sessions: the least recently used session has ended",
	}[e.Reason]
	if e.Actor != "" {
		out += " (by " + e.Actor + ")"
	}
	return out
}
