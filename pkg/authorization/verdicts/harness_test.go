// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

var errAsked = errors.New("the cluster does not answer")

// harness is a Cache with one simulated cluster.
type harness struct {
	*Cache

	clock *testclock.FakePassiveClock
	// scope is the state of the simulated cluster. Tests call methods of scope to simulate changes of RBAC objects.
	scope *scope
	// allowed is the result of each review.
	allowed atomic.Bool
	reviews atomic.Int32
	// roles are the roles that KubeVisionRoleBindings grant to the caller.
	roles []kubevisionv1alpha1.RoleReference
}

func newHarness(t *testing.T, size int) *harness {
	t.Helper()
	h := &harness{clock: testclock.NewFakePassiveClock(time.Now()), roles: viewerRoles()}
	h.Cache = newCache(h.clock, size, func(ctx context.Context, _ connection, _ *scope) { <-ctx.Done() })
	h.scope = newScope(h.clock)
	h.allowed.Store(true)
	h.connect()
	h.clock.SetTime(h.clock.Now().Add(settleTime))
	return h
}

func (h *harness) connect() {
	for _, resource := range rbacResources() {
		h.scope.connected(resource)
	}
}

func (h *harness) after(d time.Duration) { h.clock.SetTime(h.clock.Now().Add(d)) }

func (h *harness) review(ctx context.Context) (bool, rolesHash, error) {
	h.reviews.Add(1)
	before, err := granted(ctx, func(context.Context) ([]kubevisionv1alpha1.RoleReference, error) {
		return h.roles, nil
	})
	return h.allowed.Load(), before, err
}

func (h *harness) answer(ctx context.Context) (bool, error) {
	allowed, _, err := h.review(ctx)
	return allowed, err
}

func viewerRoles() []kubevisionv1alpha1.RoleReference {
	return []kubevisionv1alpha1.RoleReference{{Name: "readonly"}}
}

func number(n int) question { return question{byte(n & 0xff), byte(n >> 8 & 0xff)} }

// expect requests a verdict, and verifies the result and the total number of reviews.
func (h *harness) expect(t *testing.T, what string, allowed bool, reviews int) {
	t.Helper()
	got, err := h.verdict(t.Context(), h.scope, number(1), "alice", h.review)
	if err != nil {
		t.Fatal(err)
	}
	if got != allowed || int(h.reviews.Load()) != reviews {
		t.Errorf(
			"%s: the verdict is %t after %d reviews, want %t after %d",
			what,
			got,
			h.reviews.Load(),
			allowed,
			reviews,
		)
	}
}

type waiting struct {
	results sync.Map
	release chan bool
	begun   chan struct{}
	// ended receives a value for each review whose context ends.
	ended chan struct{}
	group sync.WaitGroup
}

func (h *harness) ask(ctx context.Context, w *waiting, names ...string) {
	for _, name := range names {
		w.group.Go(func() {
			review := func(ctx context.Context) (bool, rolesHash, error) {
				h.reviews.Add(1)
				w.begun <- struct{}{}
				select {
				case allowed := <-w.release:
					return allowed, rolesHash{}, nil
				case <-ctx.Done():
					w.ended <- struct{}{}
					return false, rolesHash{}, ctx.Err()
				}
			}
			allowed, err := h.verdict(ctx, h.scope, number(1), name, review)
			w.results.Store(name, fmt.Sprint(allowed, err == nil))
		})
	}
}

func newWaiting() *waiting {
	return &waiting{release: make(chan bool), begun: make(chan struct{}, 100), ended: make(chan struct{}, 100)}
}

func (h *harness) awaitWaiting(t *testing.T, want int) {
	t.Helper()
	for range 1000 {
		n := 0
		h.mu.Lock()
		for _, f := range h.flights {
			n += f.waiting
		}
		h.mu.Unlock()
		if n == want {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("there are not %d requests that wait", want)
}

type fakeConnection struct{ done chan struct{} }

// Reader returns ErrNoReader.
func (*fakeConnection) Reader(context.Context) (*clusters.Reader, error) {
	return nil, clusters.ErrNoReader
}

// Done returns a channel that the test closes.
func (c *fakeConnection) Done() <-chan struct{} { return c.done }

func (h *harness) awaitScopes(t *testing.T, want int) {
	t.Helper()
	n := 0
	for range 1000 {
		h.mu.Lock()
		n = len(h.scopes)
		h.mu.Unlock()
		if n == want {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%d clusters are watched, want %d", n, want)
}
