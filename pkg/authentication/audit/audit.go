// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit records authentication events in four places:
//   - the log
//   - Kubernetes events about the user
//   - annotations of the audit events of the API server
//   - a metric
//
// Only the log contains the address of the client, and details such as the cause of a failed login.
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

const (
	// LoggedIn means that a user has logged in.
	LoggedIn Reason = "LoggedIn"
	// LoginFailed means that a login failed, for example because the password was wrong.
	LoginFailed Reason = "LoginFailed"
	// LoginBlocked means that a login was rejected without a check of the password, because too many earlier logins
	// failed.
	LoginBlocked Reason = "LoginBlocked"
	// AccountLocked means that the server rejects further logins of a user for some time, because too many logins
	// failed.
	AccountLocked Reason = "AccountLocked"
	// AddressBlocked means that the server rejects further logins from an IP address for some time, because too many
	// logins failed.
	AddressBlocked Reason = "AddressBlocked"
	// SecondFactorDue means that the password of a login was correct, and the login now requires a code of the second
	// factor.
	SecondFactorDue Reason = "SecondFactorDue"
	// SecondFactorFailed means that a code of the second factor was rejected during a login.
	SecondFactorFailed Reason = "SecondFactorFailed"
	// SecondFactorBlocked means that the server rejects further one-time codes for logins of a user for some time,
	// because too many codes were wrong.
	SecondFactorBlocked Reason = "SecondFactorBlocked"
	// SecondFactorSetUp means that the set-up of a second factor has begun. The second factor is not valid until the
	// user confirms it with a code.
	SecondFactorSetUp Reason = "SecondFactorSetUp"
	// SecondFactorSetUpRefused means that the set-up of a second factor was rejected, because the password was wrong.
	SecondFactorSetUpRefused Reason = "SecondFactorSetUpRefused"
	// FreshCodeFailed means that a code of the second factor was rejected in a session, after the login.
	FreshCodeFailed Reason = "FreshCodeFailed"
	// FreshCodeBlocked means that the server rejects further one-time codes in a session for some time, because too
	// many codes were wrong.
	FreshCodeBlocked Reason = "FreshCodeBlocked"
	// SecondFactorEnabled means that a user has confirmed a new second factor, which is now valid.
	SecondFactorEnabled Reason = "SecondFactorEnabled"
	// SecondFactorDisabled means that a user has removed the second factor.
	SecondFactorDisabled Reason = "SecondFactorDisabled"
	// SecondFactorVerified means that a code of the second factor allowed one sensitive operation.
	SecondFactorVerified Reason = "SecondFactorVerified"
	// SessionVerified means that a user has verified a session with a code of the second factor. For some minutes,
	// sensitive operations in the session need no further code.
	SessionVerified Reason = "SessionVerified"
	// VerifiedSessionUsed means that a sensitive operation was allowed without a code, because the user had verified
	// the session with an earlier code.
	VerifiedSessionUsed Reason = "VerifiedSessionUsed"
	// RecoveryCodeUsed means that a login used a recovery code.
	RecoveryCodeUsed Reason = "RecoveryCodeUsed"
	// RecoveryCodesRenewed means that a user has replaced the recovery codes.
	RecoveryCodesRenewed Reason = "RecoveryCodesRenewed"
	// PasswordChanged means that a user has changed their own password.
	PasswordChanged Reason = "PasswordChanged"
	// PasswordChangeRefused means that the change of a password was rejected, because the old password was wrong.
	PasswordChangeRefused Reason = "PasswordChangeRefused"
	// PasswordChangeBlocked means that a user who has logged in must wait before sending another password, because too
	// many passwords were wrong.
	PasswordChangeBlocked Reason = "PasswordChangeBlocked"
	// PasswordReset means that an administrator has reset the password of a user.
	PasswordReset Reason = "PasswordReset"
	// SecondFactorReset means that an administrator has removed the second factor of a user.
	SecondFactorReset Reason = "SecondFactorReset"
	// RefreshTokenReused means that a session was ended, because a refresh token was used twice.
	RefreshTokenReused Reason = "RefreshTokenReused"
	// SessionEnded means that a session was ended, for example by a logout.
	SessionEnded Reason = "SessionEnded"
	// SessionDisplaced means that a session was ended, because there were too many sessions.
	SessionDisplaced Reason = "SessionDisplaced"
	// SecretRevealed means that a user has read the values of a Secret.
	SecretRevealed Reason = "SecretRevealed"
)

const (
	reasonAnnotation  = "authentication.kubevision.io/reason"
	accountAnnotation = "authentication.kubevision.io/account"
	addressAnnotation = "authentication.kubevision.io/address"
)

// action is the value of the field action in the Kubernetes events about users.
const action = "Authentication"

// Event is an authentication event.
type Event struct {
	Reason Reason
	// User is the user whom the event concerns, or nil if there is no such user.
	User *kubevisionv1alpha1.KubeVisionUser
	// Actor is the name of the user who caused the event, for example an administrator. It is empty if the field User
	// contains the same user.
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
	// An audit event keeps only the first value of each key. AccountLocked and AddressBlocked need separate keys,
	// because they follow another reason in the same request.
	switch r {
	case AccountLocked:
		return accountAnnotation
	case AddressBlocked:
		return addressAnnotation
	default:
		return reasonAnnotation
	}
}

func userName(u *kubevisionv1alpha1.KubeVisionUser) string {
	if u == nil {
		return ""
	}
	return u.Name
}

// Reference returns a reference to u for Kubernetes events about u. A KubeVisionUser has no namespace, but the
// reference contains the namespace of KubeVision. Without this namespace, the events would be in the namespace default,
// where many users may read events. The reference has no resource version, because repeated events are combined only if
// their references are equal.
func Reference(u *kubevisionv1alpha1.KubeVisionUser) runtime.Object {
	return &corev1.ObjectReference{
		APIVersion: kubevisionv1alpha1.SchemeGroupVersion.String(), Kind: kubevisionv1alpha1.KindUser,
		Namespace: names.Namespace, Name: u.Name, UID: u.UID,
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
// details such as the cause of a failed login. Both are confidential and appear only in the log.
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
