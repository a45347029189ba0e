// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// unpacedBytes is the number of bytes of each response that are read without a limit of concurrency. The pages and
	// objects that a dashboard requests are smaller.
	unpacedBytes = 512 << 10
	// workRate limits the processor time for the large responses of one user from all clusters, as a fraction of one
	// processor. workBurst is the processor time that a user may use before this limit applies. It suffices for a list
	// of 5,000 Pods. The time from one Read to the next counts as processor time, but at most maxWork. A longer time
	// may include waits for a slow client.
	workRate  = 1.0 / 3
	workBurst = 500 * time.Millisecond
	maxWork   = 2 * time.Millisecond
	// maxTurnWait bounds the time for which the reading of a large response waits for other large responses of the
	// user. After this time, reading continues.
	maxTurnWait = 5 * time.Second
	// maxLargeWait bounds the time for which a call waits while its user has too many concurrent calls, large responses
	// or lists. After this time, the call fails.
	maxLargeWait = 10 * time.Second
	// maxCalls bounds the concurrent calls of one user to one cluster. One request of a user may make several calls.
	maxCalls = maxAtOnce / 4
	// minLarge is the minimum limit for the large responses that are read concurrently from one cluster for one user.
	// The limit is the number of processors if this number is higher.
	minLarge = 2
)

var (
	errCalls = fmt.Errorf("%w: the user has too many calls to the cluster in flight", budget.ErrExceeded)
	errLarge = fmt.Errorf("%w: the user has too many large lists in flight", budget.ErrExceeded)
)

// gates limits concurrent work per user.
type gates struct {
	atOnce int
	// limitsWork is true if the processor time of each user is also limited. The gate of an idle user is then kept
	// until the whole workBurst is available again. Otherwise, the next request of the user would create a new gate
	// with a full workBurst.
	limitsWork bool

	mu    sync.Mutex
	users map[string]*gate
}

// gate limits the concurrent work of one user.
type gate struct {
	// places is a semaphore.
	places chan struct{}
	// work limits the processor time in microseconds. It may be nil.
	work *rate.Limiter
	// responses is the number of calls of join() without a later call of leave().
	responses int
}

// isIdle returns true if the gate has the same state as a new gate. It can then be dropped.
func (g *gate) isIdle() bool {
	return g.responses == 0 && (g.work == nil || g.work.Tokens() >= float64(workBurst.Microseconds()))
}

// newTurnGates returns the limits for reading large responses. One user may use half of the processors at the same
// time, but on average only the fraction workRate of one processor.
func newTurnGates() *gates {
	g := newGates(max(1, runtime.GOMAXPROCS(0)/2))
	g.limitsWork = true
	return g
}

// newLargeGates returns the limit for the number of large responses of one cluster that are open for one user.
func newLargeGates() *gates { return newGates(max(minLarge, runtime.GOMAXPROCS(0))) }

func newGates(atOnce int) *gates { return &gates{atOnce: atOnce, users: map[string]*gate{}} }

func (g *gates) join(user string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := g.users[user]
	if u == nil {
		u = g.add(user)
	}
	u.responses++
	return u
}

// add creates the gate of a user and drops idle gates. The caller must hold the lock.
func (g *gates) add(user string) *gate {
	u := &gate{places: make(chan struct{}, g.atOnce)}
	if g.limitsWork {
		maps.DeleteFunc(g.users, func(_ string, other *gate) bool { return other.isIdle() })
		const perSecond rate.Limit = workRate * rate.Limit(time.Second/time.Microsecond)
		u.work = rate.NewLimiter(perSecond, int(workBurst.Microseconds()))
	}
	g.users[user] = u
	return u
}

func (g *gates) leave(user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := g.users[user]
	u.responses--
	if u.isIdle() {
		delete(g.users, user)
	}
}

// enter acquires the semaphore. It returns false if the semaphore is still full after the duration wait, or if ctx
// ends.
func (g *gate) enter(ctx context.Context, wait time.Duration) bool {
	select {
	case g.places <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case g.places <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// take acquires the semaphore of a user. If the semaphore is still full after maxLargeWait, take returns the given
// error. The returned function releases the semaphore; repeated calls have no effect. Nil gates have no limit.
func (g *gates) take(ctx context.Context, user string, full error) (leave func(), err error) {
	if g == nil {
		return func() {}, nil
	}
	u := g.join(user)
	if !u.enter(ctx, maxLargeWait) {
		g.leave(user)
		return nil, full
	}
	return sync.OnceFunc(func() {
		<-u.places
		g.leave(user)
	}), nil
}

// pacedRoundTripper limits the concurrent calls and the reading of large responses of one user on one cluster.
type pacedRoundTripper struct {
	next http.RoundTripper
	// The field turns limits the processor time for large responses of all clusters together. The field large limits
	// the number of large responses of this cluster that are open. The field calls limits the number of concurrent
	// calls to this cluster. A common limit of calls for all clusters would let a slow cluster block calls to other
	// clusters.
	turns, large, calls *gates
	// lists bounds the total cost of concurrent lists on this cluster. sizes contains the recorded sizes of lists. Both
	// may be nil.
	lists *budget.Queue
	sizes *listSizes
	user  string
}

// RoundTrip sends the request. It waits while the user has too many concurrent calls or lists, and returns an error
// after maxLargeWait.
func (p *pacedRoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	body := &pacedBody{context: r.Context(), paced: p}
	var err error
	if body.list, err = p.enterList(r); err != nil {
		return nil, err
	}
	if body.leaveCalls, err = p.calls.take(r.Context(), p.user, errCalls); err != nil {
		body.leave()
		return nil, err
	}
	response, err := p.next.RoundTrip(r)
	if err != nil {
		body.leave()
		return nil, err
	}
	if isFollowed(r.Context()) { // the reader bounds the response
		body.leave()
		return response, nil
	}
	body.ReadCloser = response.Body
	response.Body = body
	return response, nil
}

// pacedBody is a response body that is read under the limits of its user. After unpacedBytes, the response counts as
// large. From then on, the time from the return of a Read until the next Read counts as work on the response.
type pacedBody struct {
	io.ReadCloser

	context context.Context //nolint:containedctx // it is that of the request
	paced   *pacedRoundTripper
	read    int64

	// turn and large are the limits of the user. They are nil until the response is large.
	turn, large *gate
	inTurn      bool
	turnBegan   time.Time
	list        *list
	leaveCalls  func()
}

// Read reads from the body. For a large response, it waits until the limits of the user allow more work. It returns
// errLarge if the user has too many large responses.
func (b *pacedBody) Read(p []byte) (int, error) {
	b.endTurn()
	b.rest()
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	b.list.add(n)
	if err != nil || b.read <= unpacedBytes {
		return n, err //nolint:wrapcheck // io.EOF must not be wrapped
	}
	if b.large == nil && !b.becomeLarge() {
		return 0, errLarge
	}
	b.inTurn, b.turnBegan = b.turn.enter(b.context, maxTurnWait), time.Now()
	return n, nil
}

func (b *pacedBody) becomeLarge() bool {
	large := b.paced.large.join(b.paced.user)
	if !large.enter(b.context, maxLargeWait) {
		b.paced.large.leave(b.paced.user)
		return false
	}
	b.large, b.turn = large, b.paced.turns.join(b.paced.user)
	return true
}

// rest waits until the processor time since the last Read is within the user's limit.
func (b *pacedBody) rest() {
	if b.turn == nil || b.turn.work == nil {
		return
	}
	took := min(time.Since(b.turnBegan), maxWork)
	_ = b.turn.work.WaitN(b.context, int(took.Microseconds())) // if the context ends, the next Read fails
}

func (b *pacedBody) endTurn() {
	if b.inTurn {
		<-b.turn.places
		b.inTurn = false
	}
}

// Close closes the body and releases the limits that the response occupies.
func (b *pacedBody) Close() error {
	b.endTurn()
	if b.large != nil {
		<-b.large.places
		b.paced.large.leave(b.paced.user)
		b.paced.turns.leave(b.paced.user)
		b.large, b.turn = nil, nil
	}
	b.leave()
	return b.ReadCloser.Close() //nolint:wrapcheck // as it is
}

// leave releases the limits that RoundTrip has acquired.
func (b *pacedBody) leave() {
	b.list.leave()
	if b.leaveCalls != nil {
		b.leaveCalls()
	}
}
