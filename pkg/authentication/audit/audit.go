// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit tells what happens around authentication, to those who run KubeVision: as a line in the log, an event on the user, an
// annotation of the API server's own audit event, and a metric. It says why, which the response to the client does not.
package audit

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiserveraudit "k8s.io/apiserver/pkg/audit"
	"k8s.io/client-go/tools/events"
	"k8s.io/klog/v2"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// Reason is what has happened. It is the reason of the event on the user.
type Reason string

// The reasons.
const (
	LoggedIn              Reason = "LoggedIn"
	LoginFailed           Reason = "LoginFailed"
	LoginBlocked          Reason = "LoginBlocked"
	AccountLocked         Reason = "AccountLocked"
	AddressBlocked        Reason = "AddressBlocked"
	SecondFactorDue       Reason = "SecondFactorDue"
	SecondFactorFailed    Reason = "SecondFactorFailed"
	SecondFactorBlocked   Reason = "SecondFactorBlocked"
	SecondFactorSetUp     Reason = "SecondFactorSetUp"
	SecondFactorEnabled   Reason = "SecondFactorEnabled"
	SecondFactorDisabled  Reason = "SecondFactorDisabled"
	SecondFactorVerified  Reason = "SecondFactorVerified"
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
	// annotation is the key of the reason in an audit event.
	annotation = "authentication.kubevision.io/reason"
	// action is what the events on a user are about.
	action = "Authentication"
)

// Event is something that has happened to the credentials or sessions of a user.
type Event struct {
	Reason Reason
	// User is whom it happened to; nil where there is no such user.
	User *kubevisionv1alpha1.KubeVisionUser
	// Actor is who did it, where it was not the user.
	Actor string
	// Address is where the request came from.
	Address string
	// Session is the session that it is about.
	Session string
	// Detail says why. It never holds what the client has sent.
	Detail string
}

// Log is where events go.
type Log struct {
	// Recorder writes events on users.
	Recorder events.EventRecorder
}

// Record tells of an event. Events on a user that repeat become one with a count.
func (l *Log) Record(ctx context.Context, e Event) {
	recorded.WithLabelValues(string(e.Reason)).Inc()
	if e.Reason == LoginBlocked { // as fast as somebody can send requests; AccountLocked and AddressBlocked tell of it once
		return
	}
	apiserveraudit.AddAuditAnnotation(ctx, annotation, string(e.Reason))
	fields := []any{"reason", string(e.Reason)}
	for _, f := range [][2]string{{"user", userName(e.User)}, {"actor", e.Actor}, {"address", e.Address}, {"session", e.Session}, {"detail", e.Detail}} {
		if f[1] != "" {
			fields = append(fields, f[0], f[1])
		}
	}
	klog.FromContext(ctx).WithName("audit").Info("Security event", fields...)
	if e.User != nil && worthAnEvent(e.Reason) {
		l.Recorder.Eventf(reference(e.User), nil, severity(e.Reason), string(e.Reason), action, "%s", note(e))
	}
}

func userName(u *kubevisionv1alpha1.KubeVisionUser) string {
	if u == nil {
		return ""
	}
	return u.Name
}

// reference has no resource version, with which no two events would be about the same.
func reference(u *kubevisionv1alpha1.KubeVisionUser) runtime.Object {
	return &corev1.ObjectReference{
		APIVersion: kubevisionv1alpha1.SchemeGroupVersion.String(), Kind: "KubeVisionUser", Name: u.Name, UID: u.UID,
	}
}

func worthAnEvent(r Reason) bool { return r != SecondFactorDue && r != SecondFactorSetUp }

func severity(r Reason) string {
	switch r {
	case LoginFailed, AccountLocked, SecondFactorFailed, SecondFactorBlocked, RefreshTokenReused, PasswordChangeRefused,
		PasswordChangeBlocked:
		return corev1.EventTypeWarning
	default:
		return corev1.EventTypeNormal
	}
}

func note(e Event) string {
	out := map[Reason]string{ //nolint:gosec // sentences about credentials, not credentials
		LoggedIn:              "logged in",
		LoginFailed:           "a login failed",
		AccountLocked:         "too many logins failed: further ones must wait",
		SecondFactorFailed:    "the password was right, the second factor was not",
		SecondFactorBlocked:   "too many codes were wrong: further ones must wait",
		SecondFactorEnabled:   "a second factor is in force",
		SecondFactorDisabled:  "the second factor was taken away",
		SecondFactorVerified:  "a fresh code was given for a sensitive operation",
		RecoveryCodeUsed:      "a recovery code was used",
		RecoveryCodesRenewed:  "the recovery codes were replaced",
		PasswordChanged:       "the password was changed",
		PasswordChangeRefused: "the password was to be changed, with a wrong old one",
		PasswordChangeBlocked: "too many old passwords were wrong: the session must wait",
		PasswordReset:         "the password was reset",
		SecondFactorReset:     "the second factor was reset",
		RefreshTokenReused:    "a spent refresh token was used again: the session has ended",
		SessionEnded:          "a session was ended",
		SessionDisplaced:      "there were too many sessions: the one that was not used for longest has ended",
	}[e.Reason]
	var rest []string
	if e.Address != "" {
		rest = append(rest, "from "+e.Address)
	}
	if e.Actor != "" {
		rest = append(rest, "by "+e.Actor)
	}
	if e.Detail != "" {
		rest = append(rest, e.Detail)
	}
	if len(rest) > 0 {
		out += " (" + strings.Join(rest, ", ") + ")"
	}
	return out
}
