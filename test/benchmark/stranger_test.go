// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	guessers = 60
	// people is the number of users who log in with valid passwords during many invalid logins.
	people         = 10
	inTime         = 5 * time.Second
	strangerRounds = 3
	// floodLength is the duration of a phase with many invalid logins. During this time, each measured user logs in
	// once.
	floodLength = 20 * time.Second
)

// BenchmarkLoginsOfStrangers measures valid logins from unknown addresses during a flood of wrong logins. The addresses
// of the wrong logins change. The benchmark reports:
//
//   - share-in-time: the share of the valid logins that succeed within five seconds. The goal is at least 0.9.
//   - rss-growth-MiB: the growth of the server's resident memory from the idle state to the peak.
//   - p99-ratio: the p99 latency of another user's list requests during a flood, divided by the p99 latency without a
//     flood. The goal is at most 2.
func BenchmarkLoginsOfStrangers(b *testing.B) {
	others := newBystander(b, listedPods)
	b.Cleanup(func() { forgive(b) })
	replica, err := env.KubeVision.StartAPIServer(b.Context(), 0, "--trusted-proxies=127.0.0.0/8,::1/128")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = replica.Stop() })
	if others.client, err = wire.New(replica.Endpoint(), env.KubeVision.CAPEM()); err != nil {
		b.Fatal(err)
	}
	users := make([]fixture.User, people)
	for i := range users {
		users[i] = set().User(b, "stranger")
		users[i].Login(b, others.client, wire.DirectPath)
	}
	f := newSender(b, crowd{
		Endpoint: replica.Endpoint(), Username: fixture.Name("nobody"), Distinct: true, Size: guessers, Forwarded: true,
	})
	time.Sleep(settleTime)
	forgetPeak(b, replica.PID())
	idle := readMemory(b, replica.PID()).resident
	var quiet, flooded, logins durations
	good := 0
	logIn := func(ctx context.Context, u fixture.User) {
		request := fixture.LoginRequest(wire.DirectPath, u.Name, u.Password)
		request.Header = http.Header{"X-Forwarded-For": {fixture.RandomAddress()}}
		begun := time.Now()
		err := others.client.Answers(ctx, wire.OK, request)
		logins = append(logins, time.Since(begun))
		if err == nil && time.Since(begun) <= inTime {
			good++
		}
	}
	for b.Loop() {
		for range strangerRounds {
			quiet = append(quiet, beside(b, others, pause)...)
			flooded = append(flooded, beside(b, others, func(ctx context.Context, _ time.Duration) error {
				done := make(chan struct{})
				go func() {
					defer close(done)
					time.Sleep(settleTime)
					for _, u := range users {
						logIn(ctx, u)
						time.Sleep(settleTime)
					}
				}()
				err := f.waves(ctx, floodLength)
				<-done
				return err
			})...)
		}
	}
	b.Logf("%d of %d valid logins succeeded during %d wrong ones", good, len(logins), f.last.Sent)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(good)/float64(len(logins)), "share-in-time")
	b.ReportMetric(milliseconds(logins.percentile(90)), "login-p90-ms")
	b.ReportMetric(readMemory(b, replica.PID()).peak-idle, "rss-growth-MiB")
	compare(b, 99, "flood", flooded, "quiet", quiet)
	f.report(b)
}
