// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/identity"
	"github.com/kubevision-io/kubevision/pkg/userlimit"
)

// largeBody sends a request as the given user, and returns the response body without its first unpacedBytes bytes. The
// limits for large responses apply only to the rest of the body.
func largeBody(ctx context.Context, t *testing.T, workGates, largeGates *userlimit.Gates, user string) io.ReadCloser {
	t.Helper()
	transport := &pacedRoundTripper{workGates: workGates, largeGates: largeGates, user: user,
		next: answering(func(*http.Request) (*http.Response, error) {
			return &http.Response{Body: io.NopCloser(strings.NewReader(strings.Repeat("x", 2*unpacedBytes)))}, nil
		})}
	response, err := transport.RoundTrip(httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, unpacedBytes)); err != nil {
		t.Fatal(err)
	}
	return response.Body
}

func waited(t *testing.T, body io.Reader) time.Duration {
	t.Helper()
	begun := time.Now()
	if _, err := body.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	return time.Since(begun)
}

// endAll closes response bodies, and verifies that workGates and largeGates then contain no user.
func endAll(t *testing.T, workGates, largeGates *userlimit.Gates, bodies ...io.Closer) {
	t.Helper()
	for _, body := range bodies {
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
	if workGates.Len()+largeGates.Len() != 0 {
		t.Errorf("left behind: %d, %d", workGates.Len(), largeGates.Len())
	}
}

// TestTurns verifies the limit for large responses that are processed for one user at the same time:
//   - At the limit, a Read waits until another response of the user is closed, or until maxTurnWait has passed.
//   - The limit does not delay other users.
//   - A cancelled request does not wait.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workGates, largeGates := newGates(1), newGates(10)
		first := largeBody(t.Context(), t, workGates, largeGates, "greedy")
		second := largeBody(t.Context(), t, workGates, largeGates, "greedy")
		other := largeBody(t.Context(), t, workGates, largeGates, "modest")
		if got := waited(t, first) + waited(t, other); got != 0 {
			t.Errorf("the first ones wait for %s", got)
		}
		if got := waited(t, second); got != maxTurnWait {
			t.Errorf("the second one of a user waits for %s, want %s", got, maxTurnWait)
		}
		time.AfterFunc(time.Second, func() { _ = first.Close() })
		if got := waited(t, second); got != time.Second {
			t.Errorf("it waits for %s while the first one is worked on", got)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		third := largeBody(ctx, t, workGates, largeGates, "greedy")
		cancel(errors.New("the client has gone"))
		if got := waited(t, third); got != 0 {
			t.Errorf("one that has ended waits for %s", got)
		}
		endAll(t, workGates, largeGates, second, third, other)
	})
}

// TestWorkOfOneUser verifies the limit of the processor time for large responses of one user:
//   - After a burst, the user gets only a part of the time of one processor.
//   - The limit does not delay other users.
//   - The limit does not delay a slow client, because the time to send data is not processor time.
//   - The state of idle users is removed from memory.
func TestWorkOfOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workGates, largeGates := userlimit.NewWork(), newGates(10)
		work := func(user string, each, total time.Duration) time.Duration {
			body := largeBody(t.Context(), t, workGates, largeGates, user)
			defer func() { _ = body.Close() }()
			begun := time.Now()
			for range total / each {
				waited(t, body)
				time.Sleep(each)
			}
			return time.Since(begun)
		}
		const total = 2 * userlimit.WorkBurst
		want := time.Duration(float64(total-userlimit.WorkBurst) / userlimit.WorkRate)
		if got := work("greedy", maxWork, total); got < want-10*maxWork || got > want {
			t.Errorf("the work of %s took %s, want %s", total, got, want)
		}
		if got := work("greedy", maxWork, 10*maxWork); got < 20*maxWork {
			t.Errorf("a new response of the user took %s", got)
		}
		if got := work("modest", maxWork, userlimit.WorkBurst); got != userlimit.WorkBurst {
			t.Errorf("the work of another user took %s, want %s", got, userlimit.WorkBurst)
		}
		if got := work("slow", userlimit.WorkBurst/2, 10*userlimit.WorkBurst); got != 10*userlimit.WorkBurst {
			t.Errorf("a slow client took %s", got)
		}
		time.Sleep(time.Duration(float64(userlimit.WorkBurst) / userlimit.WorkRate))
		work("last", 1, 1)
		if workGates.Len() > 1 {
			t.Errorf("left behind: %d", workGates.Len())
		}
	})
}

// TestLargeResponses verifies the limit for large responses that one user reads concurrently:
//   - At the limit, a Read of a further response waits until another response of the user is closed.
//   - The Read fails after maxLargeWait.
//   - The limit does not delay other users.
func TestLargeResponses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workGates, largeGates := newGates(10), newGates(1)
		first := largeBody(t.Context(), t, workGates, largeGates, "greedy")
		second := largeBody(t.Context(), t, workGates, largeGates, "greedy")
		other := largeBody(t.Context(), t, workGates, largeGates, "modest")
		if got := waited(t, first) + waited(t, other); got != 0 {
			t.Errorf("the first ones wait for %s", got)
		}
		begun := time.Now()
		if _, err := second.Read(make([]byte, 1)); !errors.Is(err, budget.ErrExceeded) ||
			time.Since(begun) != maxLargeWait {
			t.Errorf("the second one of a user ends after %s: %v", time.Since(begun), err)
		}
		third := largeBody(t.Context(), t, workGates, largeGates, "greedy")
		time.AfterFunc(time.Second, func() { _ = first.Close() })
		if got := waited(t, third); got != time.Second {
			t.Errorf("the third one waits for %s", got)
		}
		endAll(t, workGates, largeGates, second, third, other)
	})
}

// TestCallsOfOneUser verifies the limit for concurrent calls of one user to a cluster. A call counts until its response
// is closed. The limit does not delay other users.
func TestCallsOfOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := newGates(2)
		send := func(user string) (io.ReadCloser, time.Duration, error) {
			begun := time.Now()
			transport := &pacedRoundTripper{callGates: calls, user: user,
				next: answering(func(*http.Request) (*http.Response, error) {
					return &http.Response{Body: io.NopCloser(strings.NewReader("x"))}, nil
				})}
			response, err := transport.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/pods/x",
				http.NoBody))
			if err != nil {
				return nil, time.Since(begun), err
			}
			return response.Body, time.Since(begun), nil
		}
		first, _, err := send("greedy")
		second, _, err2 := send("greedy")
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		other, waited, err := send("modest")
		if err != nil || waited != 0 {
			t.Errorf("another user waits for %s: %v", waited, err)
		}
		if _, waited, err := send("greedy"); !errors.Is(err, budget.ErrExceeded) || waited != maxLargeWait {
			t.Errorf("the third one ends after %s: %v", waited, err)
		}
		time.AfterFunc(time.Second, func() { _ = first.Close() })
		third, waited, err := send("greedy")
		if err != nil || waited != time.Second {
			t.Errorf("the third one waits for %s: %v", waited, err)
		}
		if err := errors.Join(first.Close(), second.Close(), third.Close(), other.Close()); err != nil ||
			calls.Len() != 0 {
			t.Errorf("left behind: %d (%v)", calls.Len(), err)
		}
	})
}

// TestMembersOfOneGroup verifies that two users of one group have separate limits for calls and for large responses. In
// requests to the cluster, the header Impersonate-User is identity.GroupMember for both users.
func TestMembersOfOneGroup(t *testing.T) {
	config := &rest.Config{Host: "https://cluster"}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	for name, c := range map[string]*Connection{
		"calls":           {callGates: newGates(1), largeGates: newGates(9), workGates: newGates(9)},
		"large responses": {callGates: newGates(9), largeGates: newGates(1), workGates: newGates(9)},
	} {
		t.Run(name, func(t *testing.T) {
			c.config, c.bound = config, &BoundNames{current: bindings.Impersonation{Groups: sets.New("web")}}
			c.transport = answering(func(r *http.Request) (*http.Response, error) {
				if got := r.Header.Get("Impersonate-User"); got != identity.GroupMember {
					t.Errorf("the cluster sees %q", got)
				}
				body := io.NopCloser(strings.NewReader(strings.Repeat("x", 2*unpacedBytes)))
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body, Request: r}, nil
			})
			read := func(name string) error {
				caller, err := c.As(t.Context(), &user.DefaultInfo{Name: name, Groups: []string{"web"}})
				if err != nil {
					return err
				}
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				t.Cleanup(cancel)
				pods := Resource{GroupVersionResource: schema.GroupVersionResource{Version: "v1", Resource: "pods"}}
				stream, err := caller.Stream(ctx, Call{Resource: pods})
				if err != nil {
					return err
				}
				t.Cleanup(func() { _ = stream.Close() })
				_, err = io.ReadFull(stream, make([]byte, unpacedBytes+1))
				return err
			}
			if err := errors.Join(read("greedy"), read("modest")); err != nil {
				t.Error(err)
			}
			if err := read("greedy"); !errors.Is(err, budget.ErrExceeded) {
				t.Errorf("a second one of one user: %v", err)
			}
		})
	}
}
