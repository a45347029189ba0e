// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import "k8s.io/client-go/transport"

func identityOf(name string, groups ...string) transport.ImpersonationConfig {
	return transport.ImpersonationConfig{UserName: name, Groups: groups}
}

// identities returns identities that are not equal to the identity of the user alice with the groups a and b. Each of
// them differs in one property only.
func identities() map[string]transport.ImpersonationConfig {
	uid, extra, extras := identityOf("alice", "a", "b"), identityOf("alice", "a", "b"), identityOf("alice", "a", "b")
	uid.UID = "1"
	extra.Extra = map[string][]string{"scopes": {"x"}}
	extras.Extra = map[string][]string{"scopes": {"x"}, "other": nil}
	return map[string]transport.ImpersonationConfig{
		"another name": identityOf("bob", "a", "b"), "one group": identityOf("alice", "a"),
		"joined groups": identityOf("alice", "ab"), "no groups": identityOf("alice"),
		"a UID": uid, "extra": extra, "more extra": extras,
	}
}
