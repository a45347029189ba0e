// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"flag"
	"testing"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

var baseline = flag.String("baseline", "",
	"kubevision-apiserver of another version, which does what is measured in turns")

// baselineServer is a kubevision-apiserver of another version, to which a benchmark compares the current version. The
// flag -baseline selects the other version.
type baselineServer struct {
	client *wire.Client
	took   durations
	turns  int
}

// contestants returns the process ID of the measured server and a client for this server. It also returns other, a
// server of another version, to which the benchmark compares the measured server.
//
//   - Without the flag -baseline, the measured server is the one that all benchmarks share. other is nil.
//   - With the flag -baseline, both servers are new, because a server that has served other benchmarks is slower.
//
// Before contestants returns, it sends request once to each server.
func contestants(b *testing.B, request wire.Request) (pid int, ours *wire.Client, other *baselineServer) {
	b.Helper()
	server := env.KubeVision.APIServer()
	if *baseline != "" {
		var err error
		if server, err = env.KubeVision.StartAPIServer(b.Context(), 0); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = server.Kill() })
		old, err := env.KubeVision.StartAPIServerOf(b.Context(), *baseline)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = old.Kill() })
		other = &baselineServer{client: clientOf(b, old)}
		succeeded(b, other.client.Send(b, request))
	}
	ours = clientOf(b, server)
	succeeded(b, ours.Send(b, request))
	return server.PID(), ours, other
}

func clientOf(b *testing.B, server *localcluster.APIServer) *wire.Client {
	b.Helper()
	c, err := wire.New(server.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// beside sends request to the server s, and calls send, which sends request to the measured server. If s is nil, beside
// only calls send. The order of both requests alternates between calls, because a request that follows another server's
// request takes longer.
func (s *baselineServer) beside(b *testing.B, request wire.Request, send func()) {
	b.Helper()
	if s == nil {
		send()
		return
	}
	s.turns++
	if s.turns%2 == 0 {
		send()
	}
	var response *wire.Response
	s.took = append(s.took, timed(func() { response = s.client.Send(b, request) }))
	succeeded(b, response)
	if s.turns%2 == 1 {
		send()
	}
}

func (s *baselineServer) report(b *testing.B, d durations) {
	b.Helper()
	if s == nil {
		return
	}
	b.ReportMetric(milliseconds(s.took.percentile(50)), "baseline-p50-ms")
	b.ReportMetric(float64(d.percentile(50))/float64(s.took.percentile(50)), "p50-baseline-ratio")
}
