// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// unpacedBytes is the part of each response that is read without a turn. Pages and objects of a dashboard are
	// smaller.
	unpacedBytes = 512 << 10
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

	mu    sync.Mutex
	users map[string]*gate
}

// gate bounds the concurrent work of one user.
type gate struct {
	places chan struct{}
	// responses is the number of open responses.
	responses int
}

// newTurnGates returns gates for work on responses, which limit large lists of one user to half of the processors.
func newTurnGates() *gates { return newGates(max(1, runtime.GOMAXPROCS(0)/2)) }

// newLargeGates returns gates for the large responses of one cluster that are read concurrently.
func newLargeGates() *gates { return newGates(max(minLarge, runtime.GOMAXPROCS(0))) }

func newGates(atOnce int) *gates { return &gates{atOnce: atOnce, users: map[string]*gate{}} }

func (g *gates) join(user string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := g.users[user]
	if u == nil {
		u = &gate{places: make(chan struct{}, g.atOnce)}
		g.users[user] = u
	}
	u.responses++
	return u
}

func (g *gates) leave(user string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	u := g.users[user]
	u.responses--
	if u.responses == 0 {
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
	list        *list
	leaveCalls  func()
}

// Read waits for a place and a turn once more than unpacedBytes were read.
func (b *pacedBody) Read(p []byte) (int, error) {
	b.endTurn()
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	b.list.add(n)
	if err != nil || b.read <= unpacedBytes {
		return n, err //nolint:wrapcheck // io.EOF must not be wrapped
	}
	if b.large == nil && !b.becomeLarge() {
		return 0, errLarge
	}
	b.inTurn = b.turn.enter(b.context, maxTurnWait)
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
