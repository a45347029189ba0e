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

// contestants returns the process ID and a client of the measured server. With the flag -baseline, the result other is
// a server of another version for comparison. Without the flag, other is nil. Each server has already
// responded to the request once.
func contestants(b *testing.B, request wire.Request) (pid int, ours *wire.Client, other *baselineServer) {
	b.Helper()
	server := env.KubeVision.APIServer()
	if *baseline != "" {
		// Both servers are new, because a server that has served other benchmarks is slower.
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

// beside measures a request to the baseline server, and calls the function measure for the same request to the current
// version. If s is nil, beside only calls measure.
func (s *baselineServer) beside(b *testing.B, request wire.Request, measure func()) {
	b.Helper()
	if s == nil {
		measure()
		return
	}
	// The order alternates, because a request takes longer if it follows a request to the other server.
	s.turns++
	if s.turns%2 == 0 {
		measure()
	}
	var response *wire.Response
	s.took = append(s.took, timed(func() { response = s.client.Send(b, request) }))
	succeeded(b, response)
	if s.turns%2 == 1 {
		measure()
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
