// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

func sessionSpec() object {
	return object{
		"userName": "alice", "userUID": "6f1d",
		"expirationTime":   time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		"refreshTokenHash": strings.Repeat("a", 64),
	}
}

func TestSessionValidation(t *testing.T) {
	judge(t, "KubeVisionSession", map[string]verdict{
		"least":         {spec: sessionSpec()},
		"no user":       {spec: with(sessionSpec(), object{"userName": nil}), want: "spec.userName"},
		"empty user":    {spec: with(sessionSpec(), object{"userName": ""}), want: "spec.userName"},
		"no user UID":   {spec: with(sessionSpec(), object{"userUID": nil}), want: "spec.userUID"},
		"no expiration": {spec: with(sessionSpec(), object{"expirationTime": nil}), want: "spec.expirationTime"},
		"expiration is no day": {spec: with(sessionSpec(), object{"expirationTime": "tomorrow"}),
			want: "spec.expirationTime"},
		"a token, not a hash": {spec: with(sessionSpec(), object{"refreshTokenHash": "secret"}),
			want: "spec.refreshTokenHash"},
		"hash in upper case": {spec: with(sessionSpec(), object{"refreshTokenHash": strings.Repeat("A", 64)}),
			want: "spec.refreshTokenHash"},
		"no hash": {spec: with(sessionSpec(), object{"refreshTokenHash": nil}),
			want: "spec.refreshTokenHash"},
		"user agent too long": {spec: with(sessionSpec(),
			object{"client": object{"userAgent": strings.Repeat("x", 257)}}), want: "spec.client.userAgent"},
	})
}

func TestSessionCannotChangeHands(t *testing.T) {
	const rule = "the user of a session is immutable"
	for name, tc := range map[string]struct {
		changes object
		want    string
	}{
		"another user":       {object{"userName": "bob"}, rule},
		"another user's UID": {object{"userUID": "6f1e"}, rule},
		"another refresh hash": {object{"refreshTokenHash": strings.Repeat("b", 64),
			"previousRefreshTokenHashes": []any{strings.Repeat("a", 64)}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := sessionSpec()
			judgeChange(t, "KubeVisionSession", before, with(before, tc.changes), tc.want)
		})
	}
}

// TestAnExpiredSessionGoes verifies that an expired session is deleted a day later, even if its user does not exist.
func TestAnExpiredSessionGoes(t *testing.T) {
	guard(t)
	session := func(name string, expired time.Time) *kubevisionv1alpha1.KubeVisionSession {
		made := &kubevisionv1alpha1.KubeVisionSession{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: kubevisionv1alpha1.KubeVisionSessionSpec{
				UserName: "nobody", UserUID: "6f1d", ExpirationTime: metav1.NewTime(expired),
				RefreshTokenHash: strings.Repeat("a", 64),
			},
		}
		create(t, made)
		return made
	}
	const day = 24 * time.Hour
	fresh := session("expired-a-moment-ago", time.Now().Add(-time.Minute))
	old := session("expired-long-ago", time.Now().Add(-day-time.Minute))
	almost := session("expired-a-day-ago", time.Now().Add(-day+2*time.Second))
	eventuallyAbsent(t, old)
	eventuallyAbsent(t, almost)
	holds(t, time.Second, "for a day", func(ctx context.Context) error {
		return env.Client.Get(ctx, client.ObjectKeyFromObject(fresh), fresh.DeepCopy())
	})
}
