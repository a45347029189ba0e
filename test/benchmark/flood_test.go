// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
)

const (
	listedPods = 100

	// minRounds and maxRounds bound the number of rounds. A round consists of a phase without load and a phase with
	// load. The phases alternate, so that the background load of the machine affects both.
	minRounds, maxRounds = 4, 6
	// enoughLists is the number of lists of Pods that suffices for a 99th percentile. If a benchmark has measured
	// fewer lists under load after minRounds rounds, it runs more rounds.
	enoughLists = 300

	// phaseLength is the minimum duration of a phase, with or without load. A phase with load continues until the
	// server has responded to all requests.
	phaseLength = 3 * time.Second
	// settleTime is the pause before each measurement. During the pause, the server finishes earlier work.
	settleTime = time.Second
)

// BenchmarkLoginFlood measures the effect of 500 clients that log in with wrong passwords at the same time. The main
// metrics are:
//   - rss-growth-MiB: the growth of the server's resident memory, from idle to the peak. The goal is at most 150.
//   - p99-ratio: the p99 latency of another user's list requests during the logins, divided by the p99 latency without
//     load. The goal is at most 3.
func BenchmarkLoginFlood(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("reading memory from /proc and the addresses of the flood require Linux")
	}
	others := newBystander(b, listedPods)
	prefix, victim := fixture.Name("nobody"), set().User(b, "victim")
	// The names and the address differ, so that the throttle does not reduce the work of the server.
	b.Run("names", func(b *testing.B) {
		measureFlood(b, others, crowd{Username: prefix, Distinct: true, Scattered: true})
	})
	b.Run("connections", func(b *testing.B) {
		measureFlood(b, others, crowd{Username: prefix, Distinct: true, Scattered: true, Reconnect: true})
	})
	// All logins have one name, so that the throttle rejects all but the first.
	b.Run("account", func(b *testing.B) { measureFlood(b, others, crowd{Username: victim.Name}) })
}

func measureFlood(b *testing.B, others *bystander, c crowd) {
	b.Helper()
	b.Cleanup(func() { forgive(b) })
	pid, idle := freshServer(b, others)
	f := newSender(b, c)
	if err := f.wave(); err != nil { // connects all clients, which is not measured if connections are kept
		b.Fatal(err)
	}
	var quiet, flooded durations
	for b.Loop() {
		for round := 0; round < minRounds || round < maxRounds && len(flooded) < enoughLists; round++ {
			quiet = append(quiet, beside(b, others, pause)...)
			flooded = append(flooded, beside(b, others, f.waves)...)
		}
	}
	peak := readMemory(b, pid).peak
	b.Logf("%d lists without load, %d during %d logins", len(quiet), len(flooded), f.last.Sent)
	b.ReportMetric(0, "ns/op") // the duration is fixed
	b.ReportMetric(idle, "rss-idle-MiB")
	b.ReportMetric(peak, "rss-peak-MiB")
	b.ReportMetric(peak-idle, "rss-growth-MiB")
	compare(b, 50, "flood", flooded, "quiet", quiet)
	compare(b, 99, "flood", flooded, "quiet", quiet)
	f.report(b)
}

// freshServer restarts the server, because earlier load increases the memory of a server. It returns the id of the new
// process, and the resident memory of the idle process in MiB.
func freshServer(b *testing.B, others *bystander) (pid int, idle float64) {
	b.Helper()
	if err := env.KubeVision.APIServer().Restart(b.Context()); err != nil {
		b.Fatal(err)
	}
	fixture.Eventually(b, "list Pods", func(ctx context.Context) error {
		_, err := others.list(ctx)
		return err
	})
	time.Sleep(settleTime)
	pid = env.KubeVision.APIServer().PID()
	forgetPeak(b, pid)
	return pid, readMemory(b, pid).resident
}

// beside calls work with the duration phaseLength. Until work returns, a user lists Pods continuously. beside returns
// the durations of the lists.
func beside(b *testing.B, others *bystander, work func(context.Context, time.Duration) error) durations {
	b.Helper()
	time.Sleep(settleTime)
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = work(b.Context(), phaseLength)
	}()
	out := others.until(b, done)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

func pause(_ context.Context, length time.Duration) error {
	time.Sleep(length)
	return nil
}

func forgive(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), fixture.Patience)
	defer cancel()
	if err := env.Client.DeleteAllOf(ctx, &kubevisionv1alpha1.KubeVisionLoginThrottle{}); err != nil {
		b.Errorf("forgetting failed logins: %v", err)
	}
}
