// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"flag"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

var baseline = flag.String("baseline", "",
	"kubevision-apiserver of another version, which does what is measured in turns")

// series contains the durations of requests to a server of another version.
type series struct {
	client *wire.Client
	took   durations
}

// newSeries starts a server of another version, and sends the first request to it. It returns nil if no other version
// is given.
func newSeries(b *testing.B, first wire.Request) *series {
	b.Helper()
	if *baseline == "" {
		return nil
	}
	server, err := env.KubeVision.StartAPIServerOf(b.Context(), *baseline)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = server.Kill() })
	c, err := wire.New(server.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		b.Fatal(err)
	}
	succeeded(b, c.Send(b, first))
	return &series{client: c}
}

func (s *series) send(b *testing.B, request wire.Request) {
	b.Helper()
	if s == nil {
		return
	}
	var response *wire.Response
	s.took = append(s.took, timed(func() { response = s.client.Send(b, request) }))
	succeeded(b, response)
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
