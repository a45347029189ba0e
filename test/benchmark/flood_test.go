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
	// listedPods are in each answer that a bystander waits for.
	listedPods = 100

	// A round is a quiet phase and a flood: in turns, so that whatever else the machine does meets both. There are more than minRounds
	// where that is too few lists beside the flood for a 99th percentile.
	minRounds, maxRounds = 4, 6
	enoughLists          = 300

	// phaseLength is how long a phase lasts; a flood goes on until its last wave has been answered.
	phaseLength = 3 * time.Second
	// settleTime is before each phase.
	settleTime = time.Second
)

// BenchmarkLoginFlood measures what wrong logins, 500 at once, again and again, do to the server: how far its resident memory grows, from
// when it is idle to its peak, and how many times longer somebody else waits for a list of Pods. KubeVision's goals are a growth of
// 150 MiB and a p99-ratio of 3 at most.
func BenchmarkLoginFlood(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("memory is read from /proc, and the addresses of the flood are Linux's")
	}
	others := newBystander(b, listedPods)
	prefix, victim := fixture.Name("nobody"), set().User(b, "victim")
	// The throttle counts by name and by address: it must not do the server's work here.
	b.Run("names", func(b *testing.B) { measureFlood(b, others, crowd{Username: prefix, Distinct: true, Scattered: true}) })
	b.Run("connections", func(b *testing.B) {
		measureFlood(b, others, crowd{Username: prefix, Distinct: true, Scattered: true, Reconnect: true})
	})
	// Here it does, after the first few.
	b.Run("account", func(b *testing.B) { measureFlood(b, others, crowd{Username: victim.Name}) })
}

// measureFlood reports what a flood does to the server and to a bystander.
func measureFlood(b *testing.B, others *bystander, c crowd) {
	b.Helper()
	b.Cleanup(func() { forgive(b) })
	pid, idle := freshServer(b, others)
	f := newSender(b, c)
	if err := f.wave(); err != nil { // all connect, which is not what is measured where connections are kept
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
	b.Logf("%d lists in quiet, %d beside %d logins", len(quiet), len(flooded), f.last.Sent)
	b.ReportMetric(0, "ns/op") // how long it takes is chosen above
	b.ReportMetric(idle, "rss-idle-MiB")
	b.ReportMetric(peak, "rss-peak-MiB")
	b.ReportMetric(peak-idle, "rss-growth-MiB")
	compare(b, 50, "flood", flooded, "quiet", quiet)
	compare(b, 99, "flood", flooded, "quiet", quiet)
	f.report(b)
}

// freshServer restarts the server, since what an earlier flood has left resident is not idle. It returns the process and its resident
// memory in MiB, after a list and a rest.
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

// beside is how long lists take while something else goes on for a phase.
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

// pause is what goes on in a quiet phase.
func pause(_ context.Context, length time.Duration) error {
	time.Sleep(length)
	return nil
}

// forgive forgets every login that has failed.
func forgive(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), fixture.Patience)
	defer cancel()
	if err := env.Client.DeleteAllOf(ctx, &kubevisionv1alpha1.KubeVisionLoginThrottle{}); err != nil {
		b.Errorf("forgetting failed logins: %v", err)
	}
}
