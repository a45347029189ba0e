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
	// unpacedBytes is the part of each response that is read without a turn. Pages and objects of a dashboard are
	// smaller.
	unpacedBytes = 512 << 10
	// workRate is the share of a processor's time that is spent on the large responses of all clusters to one user,
	// after the first workBurst. A list of 5,000 Pods takes less than workBurst. maxWork bounds the charge for one
	// Read, because the time between two Reads includes waits for a slow client.
	workRate  = 1.0 / 3
	workBurst = 500 * time.Millisecond
	maxWork   = 2 * time.Millisecond
	// maxTurnWait bounds the wait for a turn. Reading continues after it.
	maxTurnWait = 5 * time.Second
	// maxLargeWait bounds the time for which a large response, or a list, waits for others of the same user. The
	// request fails after it.
	maxLargeWait = 10 * time.Second
	// maxCalls bounds the concurrent calls of one user to one cluster. It is a quarter of the calls that a member
	// accepts, because each request of a user may make several calls and other users need places.
	maxCalls = maxAtOnce / 4
	// minLarge is the minimum number of large responses of a cluster that are read concurrently for one user. The
	// number grows with the processors.
	minLarge = 2
)

var (
	errCalls = fmt.Errorf("%w: the user has too many calls to the cluster in flight", budget.ErrExceeded)
	errLarge = fmt.Errorf("%w: the user has too many large lists in flight", budget.ErrExceeded)
)

// gates bounds concurrent work for each user.
type gates struct {
	atOnce int
	// limitsWork is true if the time of the work is limited, too. A user then has an entry until workBurst is available
	// again.
	limitsWork bool

	mu    sync.Mutex
	users map[string]*gate
}

// gate bounds the concurrent work of one user.
type gate struct {
	places chan struct{}
	// work limits the time of the work, in microseconds. It may be nil.
	work *rate.Limiter
	// responses is the number of open responses.
	responses int
}

// isIdle returns true if the gate is equal to a new one.
func (g *gate) isIdle() bool {
	return g.responses == 0 && (g.work == nil || g.work.Tokens() >= float64(workBurst.Microseconds()))
}

// newTurnGates returns gates for work on responses, which limit large lists of one user to half of the processors, and
// to workRate.
func newTurnGates() *gates {
	g := newGates(max(1, runtime.GOMAXPROCS(0)/2))
	g.limitsWork = true
	return g
}

// newLargeGates returns gates for the large responses of one cluster that are read concurrently.
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

// add adds a gate for a user. The caller must hold the lock.
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

// enter returns true if a place becomes free in time.
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

// take waits for a place of a user. It returns the error full if none becomes free in time. The returned function
// releases the place; repeated calls have no effect. Nil gates have no bound.
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

// pacedRoundTripper paces the responses of one cluster to one user.
type pacedRoundTripper struct {
	next http.RoundTripper
	// turns is shared by all clusters. The other gates belong to this cluster, so that a slow cluster does not delay
	// others.
	turns, large, calls *gates
	// lists bounds the cost of lists on this cluster. sizes contains the recorded costs. Both may be nil.
	lists *budget.Queue
	sizes *listSizes
	user  string
}

// RoundTrip sends the request. It bounds the concurrent calls of the user, and the cost of the concurrent lists.
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

// pacedBody holds a place for large responses after unpacedBytes were read. It holds a turn from the return of a Read
// to the next Read.
type pacedBody struct {
	io.ReadCloser

	context context.Context //nolint:containedctx // it is that of the request
	paced   *pacedRoundTripper
	read    int64

	// turn and large are nil until more than unpacedBytes were read.
	turn, large *gate
	inTurn      bool
	turnBegan   time.Time
	list        *list
	leaveCalls  func()
}

// Read waits for a place and a turn once more than unpacedBytes were read.
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

// rest waits until the user may spend time on large responses again.
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

// Close releases the turn and the place.
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

// leave releases the places that the request took before it was sent.
func (b *pacedBody) leave() {
	b.list.leave()
	if b.leaveCalls != nil {
		b.leaveCalls()
	}
}
