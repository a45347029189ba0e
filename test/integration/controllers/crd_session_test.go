// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"strings"
	"testing"
	"time"
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
		"least":                {spec: sessionSpec()},
		"no user":              {spec: with(sessionSpec(), object{"userName": nil}), want: "spec.userName"},
		"empty user":           {spec: with(sessionSpec(), object{"userName": ""}), want: "spec.userName"},
		"no user UID":          {spec: with(sessionSpec(), object{"userUID": nil}), want: "spec.userUID"},
		"no expiration":        {spec: with(sessionSpec(), object{"expirationTime": nil}), want: "spec.expirationTime"},
		"expiration is no day": {spec: with(sessionSpec(), object{"expirationTime": "tomorrow"}), want: "spec.expirationTime"},
		"a token, not a hash":  {spec: with(sessionSpec(), object{"refreshTokenHash": "secret"}), want: "spec.refreshTokenHash"},
		"hash in upper case":   {spec: with(sessionSpec(), object{"refreshTokenHash": strings.Repeat("A", 64)}), want: "spec.refreshTokenHash"},
		"no hash":              {spec: with(sessionSpec(), object{"refreshTokenHash": nil}), want: "spec.refreshTokenHash"},
		"user agent too long":  {spec: with(sessionSpec(), object{"client": object{"userAgent": strings.Repeat("x", 257)}}), want: "spec.client.userAgent"},
	})
}

func TestSessionCannotChangeHands(t *testing.T) {
	const rule = "a session cannot change hands"
	for name, tc := range map[string]struct {
		changes object
		want    string
	}{
		"another user":         {object{"userName": "bob"}, rule},
		"another user's UID":   {object{"userUID": "6f1e"}, rule},
		"another refresh hash": {object{"refreshTokenHash": strings.Repeat("b", 64), "previousRefreshTokenHashes": []any{strings.Repeat("a", 64)}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := sessionSpec()
			judgeChange(t, "KubeVisionSession", before, with(before, tc.changes), tc.want)
		})
	}
}
