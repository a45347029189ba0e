// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// TestPings verifies that the server sends pings, and that it ends the stream of a client that does not respond.
func TestPings(t *testing.T) {
	m, address := serveStreams(t, Options{}, &Handler{})
	m.timing.ping, m.timing.pong = 50*time.Millisecond, 500*time.Millisecond
	answers, silent := dial(t, address), dial(t, address)
	var pings atomic.Int64
	answer := answers.PingHandler()
	answers.SetPingHandler(func(text string) error {
		pings.Add(1)
		return answer(text)
	})
	silent.SetPingHandler(func(string) error { return nil })
	go func() { _, _, _ = answers.ReadMessage() }()
	if _, reason, _ := endOf(t, silent); reason != Silent {
		t.Errorf("it ends with %s", reason)
	}
	time.Sleep(m.timing.pong)
	if m.Count() != 1 || pings.Load() == 0 {
		t.Errorf("%d streams are open after %d pings", m.Count(), pings.Load())
	}
}

// TestShutdownWaits verifies that Shutdown returns only after the handlers have completed their last writes.
func TestShutdownWaits(t *testing.T) {
	var ended atomic.Bool
	m, address := serveStreams(t, Options{}, &Handler{Ended: func(End) {
		time.Sleep(300 * time.Millisecond)
		ended.Store(true)
	}})
	dial(t, address)
	await(t, "the stream", func() bool { return m.Count() == 1 })
	m.Shutdown(t.Context())
	if !ended.Load() {
		t.Error("it has not waited")
	}
}

// TestResponses verifies that a response without an end counts as a stream, and ends when the replica shuts down.
func TestResponses(t *testing.T) {
	m := NewManager(Options{PerUser: 2, Total: 3, Bytes: DefaultBytes})
	enter := func(name string) (context.Context, context.CancelFunc, error) {
		return m.EnterResponse(t.Context(), &user.DefaultInfo{Name: name})
	}
	var contexts []context.Context
	var leaves []context.CancelFunc
	for i, name := range []string{"jane", "jane", "jane", "joe", "jim"} {
		ctx, leave, err := enter(name)
		if (err != nil) != (i == 2 || i == 4) {
			t.Fatalf("response %d: %v", i, err)
		}
		if err == nil {
			contexts, leaves = append(contexts, ctx), append(leaves, leave)
		}
	}
	leaves[0]()
	leaves[0]()
	if ctx, leave, err := enter("jim"); err != nil {
		t.Error(err)
	} else {
		contexts[0], leaves[0] = ctx, leave
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		m.Shutdown(t.Context())
	}()
	for i, ctx := range contexts {
		<-ctx.Done()
		if code := envelope.As(context.Cause(ctx)).Code; code != dashboardv1alpha1.CodeUnreachable {
			t.Errorf("response %d ends with %d", i, code)
		}
		leaves[i]()
	}
	<-stopped
	if _, _, err := enter("jane"); err == nil {
		t.Error("a response begins after the end")
	}
}
