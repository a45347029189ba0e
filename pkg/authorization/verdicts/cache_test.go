// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	testclock "k8s.io/utils/clock/testing"

	"github.com/kubevision-io/kubevision/pkg/clusters"
)

var errAsked = errors.New("the cluster does not answer")

// harness is a cache with one cluster, whose RBAC objects are watched as the test says.
type harness struct {
	*Cache

	clock *testclock.FakePassiveClock
	scope *scope
	// allowed is the answer of the cluster, reviews counts its answers.
	allowed atomic.Bool
	reviews atomic.Int32
}

func newHarness(t *testing.T, size int) *harness {
	t.Helper()
	h := &harness{clock: testclock.NewFakePassiveClock(time.Now())}
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

func (h *harness) review(context.Context) (bool, error) {
	h.reviews.Add(1)
	return h.allowed.Load(), nil
}

func number(n int) question { return question{byte(n & 0xff), byte(n >> 8 & 0xff)} }

// expect asks the question, and expects so many reviews since the begin.
func (h *harness) expect(t *testing.T, what string, allowed bool, reviews int) {
	t.Helper()
	got, err := h.verdict(t.Context(), h.scope, number(1), "alice", h.review)
	if err != nil {
		t.Fatal(err)
	}
	if got != allowed || int(h.reviews.Load()) != reviews {
		t.Errorf("%s: the verdict is %t after %d reviews, want %t after %d", what, got, h.reviews.Load(), allowed, reviews)
	}
}

func TestVerdictsAreKeptUntilAChange(t *testing.T) {
	h := newHarness(t, 10)
	h.expect(t, "at first", true, 1)
	h.after(maxAge - time.Millisecond)
	h.expect(t, "before it is old", true, 1)
	h.after(time.Millisecond)
	h.expect(t, "when it is old", true, 2)
	h.allowed.Store(false)
	h.scope.hasChanged()
	h.expect(t, "after a change", false, 3)
	h.after(settleTime)
	h.expect(t, "after the change has settled", false, 4)
	h.after(time.Second)
	h.expect(t, "a denial", false, 4)
}

// An API server may decide by the old RBAC objects for a moment after it has told the change.
func TestVerdictsOfAnUnsettledChangeAreShort(t *testing.T) {
	h := newHarness(t, 10)
	h.scope.hasChanged()
	h.expect(t, "just after a change", true, 1)
	h.allowed.Store(false)
	h.after(unsettledAge)
	h.expect(t, "a moment later", false, 2)
}

func TestNoVerdictIsUsedWithoutAWatch(t *testing.T) {
	h := newHarness(t, 10)
	h.expect(t, "at first", true, 1)
	h.scope.disconnected("roles")
	h.expect(t, "while Roles are not watched", true, 2)
	h.expect(t, "while Roles are not watched", true, 3)
	h.scope.connected("roles")
	h.expect(t, "when they are watched again", true, 4)
	h.expect(t, "when they are watched again", true, 4)
	h.scope.end()
	h.expect(t, "at the end", true, 5)
	h.expect(t, "at the end", true, 6)
}

func TestErrorsAreNotKept(t *testing.T) {
	h := newHarness(t, 10)
	for range 2 {
		allowed, err := h.verdict(t.Context(), h.scope, number(1), "alice", func(context.Context) (bool, error) {
			h.reviews.Add(1)
			return true, errAsked
		})
		if !errors.Is(err, errAsked) {
			t.Errorf("the verdict is %t, %v", allowed, err)
		}
	}
	h.expect(t, "afterwards", true, 3)
}

// waiting are several requests with one question, whose review ends when the test lets it.
type waiting struct {
	results sync.Map
	release chan bool
	begun   chan struct{}
	// ended gets something for each review whose context ends.
	ended chan struct{}
	group sync.WaitGroup
}

func (h *harness) ask(ctx context.Context, w *waiting, names ...string) {
	for _, name := range names {
		w.group.Go(func() {
			allowed, err := h.verdict(ctx, h.scope, number(1), name, func(ctx context.Context) (bool, error) {
				h.reviews.Add(1)
				w.begun <- struct{}{}
				select {
				case allowed := <-w.release:
					return allowed, nil
				case <-ctx.Done():
					w.ended <- struct{}{}
					return false, ctx.Err()
				}
			})
			w.results.Store(name, fmt.Sprint(allowed, err == nil))
		})
	}
}

func newWaiting() *waiting {
	return &waiting{release: make(chan bool), begun: make(chan struct{}, 100), ended: make(chan struct{}, 100)}
}

func TestEqualQuestionsAreAskedOnce(t *testing.T) {
	h := newHarness(t, 10)
	w := newWaiting()
	h.ask(t.Context(), w, "a", "b", "c", "d")
	<-w.begun
	h.awaitWaiting(t, 4)
	w.release <- true
	w.group.Wait()
	if n := h.reviews.Load(); n != 1 {
		t.Errorf("%d reviews were made", n)
	}
	h.expect(t, "afterwards", true, 1)
}

// awaitWaiting waits until so many requests wait for reviews.
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

// A verdict that was asked for before a change and answered after it is not kept, and nobody who comes after the
// change waits for it.
func TestVerdictsOfBeforeAChangeAreNotKept(t *testing.T) {
	h := newHarness(t, 10)
	before := newWaiting()
	h.ask(t.Context(), before, "early")
	<-before.begun
	h.scope.hasChanged()
	after := newWaiting()
	h.ask(t.Context(), after, "late")
	<-after.begun
	after.release <- false
	after.group.Wait()
	before.release <- true
	before.group.Wait()
	if got, _ := after.results.Load("late"); got != "false true" {
		t.Errorf("who asked after the change got %v", got)
	}
	h.expect(t, "afterwards", false, 2)
}

func TestReviewsEndWithTheLastRequest(t *testing.T) {
	h := newHarness(t, 10)
	w := newWaiting()
	first, giveUp := context.WithCancel(t.Context())
	h.ask(first, w, "first")
	<-w.begun
	h.ask(t.Context(), w, "second")
	h.awaitWaiting(t, 2)
	giveUp()
	h.awaitWaiting(t, 1)
	w.release <- true
	w.group.Wait()
	if got, _ := w.results.Load("second"); got != "true" {
		t.Errorf("who stayed got %v", got)
	}
	alone, giveUp := context.WithCancel(t.Context())
	h.scope.hasChanged()
	h.ask(alone, w, "third")
	<-w.begun
	giveUp()
	w.group.Wait() // it ends, though nobody releases the review
	select {
	case <-w.ended:
	case <-time.After(reviewTimeout / 2):
		t.Error("the review goes on without anybody who waits for it")
	}
	h.awaitWaiting(t, 0)
}

// During an outage, those are allowed who were allowed just before it, as long as no change was seen.
func TestLastVerdicts(t *testing.T) {
	for name, test := range map[string]struct {
		during func(h *harness)
		asOf   time.Duration
		want   bool
	}{
		"in an outage":                 {during: func(*harness) {}, want: true},
		"after a change in the outage": {during: func(h *harness) { h.scope.hasChanged() }},
		"after the end of the outage":  {during: func(h *harness) { h.scope.connected("roles") }},
		"after the cluster was back for a moment": {during: func(h *harness) {
			h.scope.disconnected("rolebindings")
			h.scope.connected("roles")
			h.scope.disconnected("roles")
		}},
		"in a long outage":              {during: func(h *harness) { h.after(maxOutage + time.Second) }},
		"of objects of after the break": {during: func(*harness) {}, asOf: maxAge + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, 10)
			member := &fakeConnection{}
			h.scopes[member] = h.scope
			h.expect(t, "before", true, 1)
			h.scope.disconnected("roles")
			broken := h.clock.Now()
			test.during(h)
			if got := h.wasAllowed(member, number(1), broken.Add(test.asOf)); got != test.want {
				t.Errorf("allowed: %t, want %t", got, test.want)
			}
			if h.wasAllowed(member, number(2), broken) {
				t.Error("somebody is allowed for whom there was no verdict")
			}
		})
	}
}

func TestOldVerdictsAreNotLast(t *testing.T) {
	h := newHarness(t, 10)
	member := &fakeConnection{}
	h.scopes[member] = h.scope
	h.expect(t, "before", true, 1)
	h.allowed.Store(false)
	h.after(maxAge)
	h.expect(t, "a denial", false, 2)
	h.scope.disconnected("roles")
	if h.wasAllowed(member, number(1), h.clock.Now()) {
		t.Error("a denial is taken for the yes before it")
	}
	h.scope.connected("roles")
	h.allowed.Store(true)
	h.expect(t, "allowed anew", true, 3)
	h.after(lastAge + time.Second)
	h.scope.disconnected("roles")
	if h.wasAllowed(member, number(1), h.clock.Now()) {
		t.Error("a verdict is used that was old when the outage began")
	}
	h.scope.connected("roles")
	h.expect(t, "allowed once more", true, 4)
	h.scope.hasChanged()
	h.scope.disconnected("roles")
	if h.wasAllowed(member, number(1), h.clock.Now()) {
		t.Error("a verdict is used that a change had ended before the outage")
	}
}

func TestVerdictsAreFew(t *testing.T) {
	const size = 100
	h := newHarness(t, size)
	keep := func(n int, name string) {
		if _, err := h.verdict(t.Context(), h.scope, number(n), name, h.review); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 10 {
		keep(n, "modest")
	}
	for n := range 5 * size {
		keep(1000+n, "greedy")
		if n%20 == 0 {
			keep(1000, "greedy") // it is used, and so stays
		}
	}
	if n := len(h.entries.verdicts); n != size {
		t.Errorf("there are %d verdicts", n)
	}
	before := h.reviews.Load()
	for n := range 10 {
		keep(n, "modest")
	}
	keep(1000, "greedy")
	if h.reviews.Load() != before {
		t.Error("the greedy user has taken verdicts of another one, or lost one in use")
	}
	h.entries.forget(h.scope)
	if len(h.entries.verdicts) != 0 || len(h.entries.holders) != 0 || len(h.entries.largest) != 0 {
		t.Error("something is kept of a cluster that is gone")
	}
}

func TestQuestionsDiffer(t *testing.T) {
	seen := map[question]string{}
	add := func(what string, q question) {
		if other, ok := seen[q]; ok {
			t.Errorf("%s is the question of %s", what, other)
		}
		seen[q] = what
	}
	identity := identityOf("alice", "a", "b")
	add("nothing", newQuestion(identity, &authorizationv1.ResourceAttributes{}))
	for what, a := range map[string]authorizationv1.ResourceAttributes{
		"namespace": {Namespace: "x"}, "verb": {Verb: "x"}, "group": {Group: "x"}, "version": {Version: "x"}, "resource": {Resource: "x"},
		"subresource": {Subresource: "x"}, "name": {Name: "x"}, "fields": {FieldSelector: &authorizationv1.FieldSelectorAttributes{RawSelector: "x"}},
		"labels": {LabelSelector: &authorizationv1.LabelSelectorAttributes{RawSelector: "x"}},
	} {
		add(what, newQuestion(identity, &a))
	}
	for what, other := range identities() {
		add(what, newQuestion(other, &authorizationv1.ResourceAttributes{}))
	}
}

// Everything at once, for the race detector: no verdict is older than the last change that has settled.
func TestConcurrentChanges(t *testing.T) {
	h := newHarness(t, 50)
	var group sync.WaitGroup
	end := time.Now().Add(200 * time.Millisecond)
	for i := range 8 {
		group.Go(func() {
			for n := 0; time.Now().Before(end); n++ {
				if _, err := h.verdict(t.Context(), h.scope, number(n%100), strconv.Itoa(i), h.review); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Go(func() {
		for n := 0; time.Now().Before(end); n++ {
			h.scope.hasChanged()
			h.scope.disconnected("roles")
			h.scope.connected("roles")
			time.Sleep(time.Millisecond)
		}
	})
	group.Wait()
	if len(h.entries.verdicts) > 50 {
		t.Error("too many verdicts are kept")
	}
}

// TestWatchesAreFew: another cluster takes the place of the one that was not asked about for longest, and a cluster that
// is gone leaves nothing.
func TestWatchesAreFew(t *testing.T) {
	h := newHarness(t, 10)
	t.Cleanup(h.Stop)
	connections := make([]*fakeConnection, maxWatched+1)
	for i := range connections {
		connections[i] = &fakeConnection{done: make(chan struct{})}
		h.scopeOf(connections[i]).use(h.clock.Now().Add(time.Duration(i) * time.Millisecond))
	}
	h.awaitScopes(t, maxWatched)
	h.mu.Lock()
	_, first := h.scopes[connections[0]]
	_, last := h.scopes[connections[maxWatched]]
	h.mu.Unlock()
	if first || !last {
		t.Errorf("the first cluster is watched: %t, the last one: %t", first, last)
	}
	close(connections[maxWatched].done)
	h.awaitScopes(t, maxWatched-1)
	h.Stop()
	h.awaitScopes(t, 0)
	if _, healthy := h.scopeOf(connections[0]).use(h.clock.Now()); healthy {
		t.Error("verdicts are kept after the end")
	}
}

// fakeConnection is a cluster without an account of the read cache.
type fakeConnection struct{ done chan struct{} }

// Reader returns ErrNoReader.
func (*fakeConnection) Reader(context.Context) (*clusters.Reader, error) {
	return nil, clusters.ErrNoReader
}

// Done returns a channel that the test closes.
func (c *fakeConnection) Done() <-chan struct{} { return c.done }

// TestIdleWatchesEnd: nothing is watched of clusters that nobody asks about.
func TestIdleWatchesEnd(t *testing.T) {
	h := newHarness(t, 10)
	t.Cleanup(h.Stop)
	h.after(-idleTime) // a cluster that is asked about now was not asked about for longer when the watch looks
	s := h.scopeOf(&fakeConnection{done: make(chan struct{})})
	h.after(idleTime)
	s.endWhenIdle(t.Context(), &fakeConnection{})
	h.awaitScopes(t, 0)
}

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

// TestEachQuestionIsAskedWithoutAWatch: a review that was begun earlier may know of fewer changes.
func TestEachQuestionIsAskedWithoutAWatch(t *testing.T) {
	h := newHarness(t, 10)
	h.scope.disconnected("roles")
	w := newWaiting()
	h.ask(t.Context(), w, "early", "late")
	<-w.begun
	<-w.begun
	w.release <- true
	w.release <- true
	w.group.Wait()
}
