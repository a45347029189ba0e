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

// series contains the durations of requests to a server of another version.
type series struct {
	client *wire.Client
	took   durations
	turns  int
}

// contestants returns the process that is measured and a client of it. If another version is given, it starts a process
// of each version, because a process that has served other tests is slower than a new one. Otherwise other is nil. It
// sends the first request to each process.
func contestants(b *testing.B, first wire.Request) (pid int, ours *wire.Client, other *series) {
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
		other = &series{client: clientOf(b, old)}
		succeeded(b, other.client.Send(b, first))
	}
	ours = clientOf(b, server)
	succeeded(b, ours.Send(b, first))
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

// beside calls send, and sends the same request to the other version. The two take turns in being the first, because a
// request that follows one of kube-apiserver takes longer.
func (s *series) beside(b *testing.B, request wire.Request, send func()) {
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

// report reports the ratio between the medians of d and of the series.
func (s *series) report(b *testing.B, d durations) {
	b.Helper()
	if s == nil {
		return
	}
	b.ReportMetric(milliseconds(s.took.percentile(50)), "baseline-p50-ms")
	b.ReportMetric(float64(d.percentile(50))/float64(s.took.percentile(50)), "p50-baseline-ratio")
}
