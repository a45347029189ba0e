// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	// guessers are the clients of the flood, and people those who log in beside it.
	guessers, people = 60, 10
	// inTime is how long a login may take.
	inTime = 5 * time.Second
	// strangerRounds are phases of quiet and flood.
	strangerRounds = 3
	// floodLength is long enough for each of the people to log in.
	floodLength = 20 * time.Second
)

// anywhere is an address in a network that nobody else has.
func anywhere() string {
	n := rand.Uint32() //nolint:gosec // any address will do
	return fmt.Sprintf("%d.%d.%d.%d", 20+n>>24%80, n>>16&255, n>>8&255, n&255)
}

// BenchmarkLoginsOfStrangers measures right logins from addresses that nobody knows beside wrong ones from changing addresses: the share that
// succeeds in five seconds, how far the resident memory grows, and how many times longer somebody else waits for a list of Pods. KubeVision's
// goals are a share of 0.9 and a p99-ratio of 2.
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
		request.Header = http.Header{"X-Forwarded-For": {anywhere()}}
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
	b.Logf("%d of %d right logins succeeded beside %d wrong ones", good, len(logins), f.last.Sent)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(good)/float64(len(logins)), "share-in-time")
	b.ReportMetric(milliseconds(logins.percentile(90)), "login-p90-ms")
	b.ReportMetric(readMemory(b, replica.PID()).peak-idle, "rss-growth-MiB")
	compare(b, 99, "flood", flooded, "quiet", quiet)
	f.report(b)
}
