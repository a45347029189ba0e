// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// BenchmarkGreedyUser measures how much one user slows down another user's list requests. The first user sends 500 list
// requests at the same time, again and again. The main metric is:
//   - p99-ratio: the p99 latency of the other user's list requests with this load, divided by the p99 latency without
//     load. The goal is at most 2.
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
