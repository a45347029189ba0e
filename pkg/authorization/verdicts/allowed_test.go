// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
)

func TestVerdictsAreKeptUntilAChange(t *testing.T) {
	h := newHarness(t, 10)
	h.expect(t, "at first", true, 1)
	h.after(renewalAge - time.Millisecond)
	h.expect(t, "before it is renewed", true, 1)
	h.after(maxAge - renewalAge + time.Millisecond)
	h.expect(t, "when it is old", true, 2)
	h.allowed.Store(false)
	h.scope.recordChange()
	h.expect(t, "after a change", false, 3)
	h.after(settleTime)
	h.expect(t, "after the change has settled", false, 4)
	h.after(time.Second)
	h.expect(t, "a denial", false, 4)
}

// TestVerdictsAreRenewed verifies that the use of a verdict after renewalAge causes one new review, and that the caller
// does not wait for it. A verdict that is not used is not renewed, and one whose renewal has failed ends at maxAge.
func TestVerdictsAreRenewed(t *testing.T) {
	h := newHarness(t, 10)
	h.expect(t, "at first", true, 1)
	h.after(renewalAge)
	w := &waiting{release: make(chan bool), begun: make(chan struct{}, 10), ended: make(chan struct{}, 10)}
	h.ask(t.Context(), w, "first", "second")
	w.group.Wait() // both have returned before the review
	<-w.begun
	if got, _ := w.results.Load("second"); got != fmt.Sprint(true, true) || h.reviews.Load() != 2 {
		t.Errorf("%v after %d reviews", got, h.reviews.Load())
	}
	w.release <- false
	h.awaitReviews(t)
	h.expect(t, "after the renewal", false, 2)
	h.after(maxAge)
	h.ask(t.Context(), w, "late")
	<-w.begun
	w.release <- true
	w.group.Wait()
	h.after(renewalAge)
	h.ask(t.Context(), w, "fails")
	<-w.begun
	h.cancelFlights()
	<-w.ended
	h.awaitReviews(t)
	h.after(maxAge - renewalAge - time.Millisecond)
	h.expect(t, "after a renewal that failed", true, 4)
	h.awaitReviews(t)
	h.after(time.Millisecond)
	h.allowed.Store(false)
	h.expect(t, "at the end", false, 5)
}

func (h *harness) awaitReviews(t *testing.T) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(time.Millisecond) {
		h.mu.Lock()
		n := len(h.flights)
		h.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%d reviews are in progress", n)
		}
	}
}

// cancelFlights cancels the contexts of all reviews, as if reviewTimeout had passed.
func (h *harness) cancelFlights() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.flights {
		f.cancel()
	}
}

// TestVerdictsOfAnUnsettledChangeAreShort verifies that a verdict from soon after a change of RBAC objects expires
// soon. The API server may have decided with the old RBAC objects, although it has already sent the event of the
// change.
func TestVerdictsOfAnUnsettledChangeAreShort(t *testing.T) {
	h := newHarness(t, 10)
	h.scope.recordChange()
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
		review := func(context.Context) (bool, rolesHash, error) {
			h.reviews.Add(1)
			return true, rolesHash{}, errAsked
		}
		allowed, err := h.verdict(t.Context(), h.scope, number(1), "alice", review)
		if !errors.Is(err, errAsked) {
			t.Errorf("the verdict is %t, %v", allowed, err)
		}
	}
	h.expect(t, "afterwards", true, 3)
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

// TestVerdictsOfBeforeAChangeAreNotKept verifies that the result of an access review is not cached if RBAC objects
// change during the review. Requests after the change must not wait for this review.
func TestVerdictsOfBeforeAChangeAreNotKept(t *testing.T) {
	h := newHarness(t, 10)
	before := newWaiting()
	h.ask(t.Context(), before, "early")
	<-before.begun
	h.scope.recordChange()
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
	if got, _ := w.results.Load("second"); got != "true true" { //nolint:dupword // two results
		t.Errorf("who stayed got %v", got)
	}
	alone, giveUp := context.WithCancel(t.Context())
	h.scope.recordChange()
	h.ask(alone, w, "third")
	<-w.begun
	giveUp()
	w.group.Wait() // returns although the review was not released
	select {
	case <-w.ended:
	case <-time.After(reviewTimeout / 2):
		t.Error("the review goes on without anybody who waits for it")
	}
	h.awaitWaiting(t, 0)
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
		"namespace": {Namespace: "x"}, "verb": {Verb: "x"}, "group": {Group: "x"}, "version": {Version: "x"},
		"resource":    {Resource: "x"},
		"subresource": {Subresource: "x"}, "name": {Name: "x"},
		"fields": {FieldSelector: &authorizationv1.FieldSelectorAttributes{RawSelector: "x"}},
		"labels": {LabelSelector: &authorizationv1.LabelSelectorAttributes{RawSelector: "x"}},
	} {
		add(what, newQuestion(identity, &a))
	}
	for what, other := range identities() {
		add(what, newQuestion(other, &authorizationv1.ResourceAttributes{}))
	}
}

// TestConcurrentChanges runs access reviews and changes of RBAC objects concurrently, mainly for the race detector. It
// also verifies that the cache does not exceed its size limit.
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
			h.scope.recordChange()
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

// TestReviewsAreNotSharedWithoutAWatch verifies that equal requests do not share an access review while a watch of RBAC
// objects is interrupted. Otherwise, a request after a change could get the result from before the change.
func TestReviewsAreNotSharedWithoutAWatch(t *testing.T) {
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
