// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit records authentication events for operators: in the log, as an Event of the user, as an annotation of
// the API server's audit event, and in a metric. Only the log contains the address and the cause.
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

// Reason is the kind of an event. It is also the reason of the Kubernetes Event that is emitted for the user.
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
	// SecondFactorSetUpRefused is a wrong password for the set-up of a second factor.
	SecondFactorSetUpRefused Reason = "SecondFactorSetUpRefused"
	// FreshCodeFailed is a code in a session that was not accepted. FreshCodeBlocked means that codes in the session
	// are then rejected for some time.
	FreshCodeFailed      Reason = "FreshCodeFailed"
	FreshCodeBlocked     Reason = "FreshCodeBlocked"
	SecondFactorEnabled  Reason = "SecondFactorEnabled"
	SecondFactorDisabled Reason = "SecondFactorDisabled"
	SecondFactorVerified Reason = "SecondFactorVerified"
	// SessionVerified means that a code verified a session, so that sensitive operations in it need no fresh code for
	// some minutes. VerifiedSessionUsed means that a sensitive operation was executed without a fresh code.
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
	// annotation is the key of the reason in an audit event. An audit event keeps the first value of each key, so that
	// a lock, which follows another event of the same request, has a key of its own.
	annotation        = "authentication.kubevision.io/reason"
	accountAnnotation = "authentication.kubevision.io/account"
	addressAnnotation = "authentication.kubevision.io/address"
	// action is the action of all Events.
	action = "Authentication"
)

// Event is a change or a use of the credentials or sessions of a user.
type Event struct {
	Reason Reason
	// User is the user that the event concerns. It is nil if no such user exists.
	User *kubevisionv1alpha1.KubeVisionUser
	// Actor is the author of the change, if it was not the user.
	Actor string
	// Address is the IP address of the client.
	Address string
	// Session is the session that the event concerns.
	Session string
	// Detail is the cause. It never contains data from the client.
	Detail string
}

// Log records events.
type Log struct {
	// Recorder writes Events of users.
	Recorder events.EventRecorder
}

// Record increments the metric of an event. Except for LoginBlocked, which clients can cause at any rate, it also
// annotates the audit event of the request and writes a log entry and, unless emitsEvent returns false, a Kubernetes
// Event of the user. Repeated Events of a user become one with a count.
func (l *Log) Record(ctx context.Context, e Event) {
	recorded.WithLabelValues(string(e.Reason)).Inc()
	// Clients can cause LoginBlocked at any rate. AccountLocked and AddressBlocked are recorded once.
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

// annotationOf returns the key of a reason in an audit event.
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

// Reference returns the object that the Events of a user regard. Its namespace, KubeVision's own, becomes the namespace
// of the Event. Events of cluster-scoped objects would be in the namespace default, where many users may read them. The
// reference has no resource version, so that repeated Events are counted in one Event.
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

// note returns a text without the address and the cause, which the response to a login does not reveal either.
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
