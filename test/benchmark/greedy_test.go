// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// BenchmarkGreedyUser measures the effect of one user, who sends waves of 500 concurrent lists, on another user. The
// goal of KubeVision is a p99-ratio of at most 2.
func BenchmarkGreedyUser(b *testing.B) {
	others := newBystander(b, listedPods)
	greedy := set().User(b, "greedy")
	set().Bind(b, "greedy", fixture.Grant{
		Role: "readonly", Subjects: fixture.KubeVisionUsers(greedy), Cluster: host,
		Namespaces: []string{others.namespace},
	})
	measureFlood(b, others, crowd{Lists: others.request.Path,
		Bearer: greedy.Login(b, others.client, wire.DirectPath).AccessToken})
}
