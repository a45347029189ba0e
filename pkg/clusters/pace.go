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
	"github.com/kubevision-io/kubevision/pkg/userlimit"
)

const (
	// unpacedBytes is the number of bytes of a response that are read before the limits for large responses apply.
	unpacedBytes = 512 << 10
	maxWork      = 2 * time.Millisecond
	// maxTurnWait bounds the time for which a Read waits while too many other large responses of the user are
	// processed. After this time, the Read continues.
	maxTurnWait = 5 * time.Second
	// maxLargeWait bounds the time for which a call waits while its user has too many concurrent calls, large responses
	// or lists. After this time, the call fails.
	maxLargeWait = 10 * time.Second
	// maxCalls bounds the concurrent calls of one user to one cluster. One request of a user may make several calls.
	maxCalls      = maxAtOnce / 4
	minLargeReads = 2
)

var (
	errCalls = fmt.Errorf("%w: the user has too many calls to the cluster in flight", budget.ErrExceeded)
	errLarge = fmt.Errorf("%w: the user has too many large lists in flight", budget.ErrExceeded)
)

// newLargeGates returns Gates that limit how many large responses each user reads from one cluster at the same time.
func newLargeGates() *userlimit.Gates { return newGates(max(minLargeReads, runtime.GOMAXPROCS(0))) }

func newGates(atOnce int) *userlimit.Gates {
	return userlimit.NewGates(userlimit.Options{AtOnce: atOnce})
}

// enterGates waits until the gates admit the user. If maxLargeWait or ctx ends first, it returns errFull. Nil gates
// admit every user.
func enterGates(ctx context.Context, gates *userlimit.Gates, user string, errFull error) (leave func(), err error) {
	if gates == nil {
		return func() {}, nil
	}
	u := gates.Join(user)
	if !u.Enter(ctx, maxLargeWait) {
		gates.Leave(user)
		return nil, errFull
	}
	return sync.OnceFunc(func() {
		u.Exit()
		gates.Leave(user)
	}), nil
}

// pacedRoundTripper limits the concurrent calls and the reading of large responses of one user on one cluster.
type pacedRoundTripper struct {
	next http.RoundTripper
	// workGates limits the number of large responses that are processed for the user at the same time, and the
	// processor time for them. All clusters share these limits.
	workGates *userlimit.Gates
	// largeGates limits the number of large responses of this cluster that the user has open at the same time. A
	// response is open until its body is closed.
	largeGates *userlimit.Gates
	// callGates limits the number of concurrent calls of the user to this cluster. A common limit for all clusters
	// would let a slow cluster block calls to other clusters.
	callGates *userlimit.Gates
	// listQueue bounds the total size of the lists that are read from this cluster at the same time. If listQueue is
	// nil, there is no bound.
	listQueue *budget.Queue
	// sizes records the sizes of earlier lists, to estimate the sizes of later ones. It may be nil if the total size of
	// lists is not bounded.
	sizes *listSizes
	user  string
}

// RoundTrip sends the request. It waits while the user has too many concurrent calls or lists. If a wait exceeds
// maxLargeWait, RoundTrip returns an error.
func (p *pacedRoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	body := &pacedBody{context: r.Context(), paced: p}
	var err error
	if body.list, err = p.enterList(r); err != nil {
		return nil, err
	}
	if body.leaveCalls, err = enterGates(r.Context(), p.callGates, p.user, errCalls); err != nil {
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

// pacedBody is a response body whose Reads wait if the user reads too many large responses. A response counts as large
// when more than unpacedBytes were read.
type pacedBody struct {
	io.ReadCloser

	context context.Context //nolint:containedctx // it is that of the request
	paced   *pacedRoundTripper
	read    int64

	// workGate limits the processor time of the user for large responses. It is nil until more than unpacedBytes of the
	// body were read.
	workGate *userlimit.Gate
	// largeGate limits the number of large responses that the user reads at the same time. It is nil until more than
	// unpacedBytes of the body were read.
	largeGate  *userlimit.Gate
	inTurn     bool
	turnBegan  time.Time
	list       *listRequest
	leaveCalls func()
}

// Read reads from the body. For a large response, it waits until the limits of the user allow more work. It returns
// errLarge if the user has too many large responses.
func (b *pacedBody) Read(p []byte) (int, error) {
	b.endTurn()
	b.chargeAndWait()
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	b.list.countRead(n)
	if err != nil || b.read <= unpacedBytes {
		return n, err //nolint:wrapcheck // io.EOF must not be wrapped
	}
	if b.largeGate == nil && !b.becomeLarge() {
		return 0, errLarge
	}
	b.inTurn, b.turnBegan = b.workGate.Enter(b.context, maxTurnWait), time.Now()
	return n, nil
}

func (b *pacedBody) becomeLarge() bool {
	large := b.paced.largeGates.Join(b.paced.user)
	if !large.Enter(b.context, maxLargeWait) {
		b.paced.largeGates.Leave(b.paced.user)
		return false
	}
	b.largeGate, b.workGate = large, b.paced.workGates.Join(b.paced.user)
	return true
}

func (b *pacedBody) chargeAndWait() {
	if b.workGate == nil { // the response is not large
		return
	}
	// The caller usually processes the response between two Reads. At most maxWork counts as processor time of the
	// user, because a longer time may be a wait for a slow client.
	b.workGate.Charge(min(time.Since(b.turnBegan), maxWork))
	_ = b.workGate.Rest(b.context) // if the context ends, the next Read fails
}

func (b *pacedBody) endTurn() {
	if b.inTurn {
		b.workGate.Exit()
		b.inTurn = false
	}
}

// Close closes the body. The response then no longer counts towards the limits of the user.
func (b *pacedBody) Close() error {
	b.endTurn()
	if b.largeGate != nil {
		b.largeGate.Exit()
		b.paced.largeGates.Leave(b.paced.user)
		b.paced.workGates.Leave(b.paced.user)
		b.largeGate, b.workGate = nil, nil
	}
	b.leave()
	return b.ReadCloser.Close() //nolint:wrapcheck // as it is
}

// leave stops counting the request towards the user's limits for concurrent calls and lists.
func (b *pacedBody) leave() {
	b.list.leave()
	if b.leaveCalls != nil {
		b.leaveCalls()
	}
}
