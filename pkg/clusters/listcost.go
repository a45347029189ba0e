// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"hash/maphash"
	"net/http"
	"runtime"
	"sync/atomic"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// listShare determines the limit for the total size of the concurrent lists of one user on one cluster. The limit
	// is listShare bytes multiplied by the number of processors, but at least maxListCost.
	listShare   = 128 << 10
	maxListCost = 2 * listShare
	// usersAtOnce determines the limit for the total size of the lists that all users read from one cluster at the same
	// time. This limit is usersAtOnce times the limit of one user.
	usersAtOnce = 32
	// maxWaitingLists bounds the number of list requests of one user that wait for one cluster.
	maxWaitingLists = 64
	// minListCost is the minimum cost of one list, in bytes. A smaller list counts as minListCost towards the limit for
	// concurrent lists.
	minListCost = 8 << 10
	// unknownListCost is the number of bytes that a list is expected to have if no earlier response to a similar
	// request is recorded.
	unknownListCost = 128 << 10
	// maxListSizes bounds the number of recorded list sizes of one cluster.
	maxListSizes = 4096
)

// newListQueue returns the queue that limits the cost of concurrent list requests to one cluster.
func newListQueue() *budget.Queue {
	share := int64(max(listShare*runtime.GOMAXPROCS(0), maxListCost))
	return budget.NewQueue(budget.QueueOptions{
		Total: usersAtOnce * share, Share: share, Largest: maxListCost, Waiting: maxWaitingLists,
		Patience: maxLargeWait,
	})
}

// listSizes records the size of the response to each list request, to estimate the size of the response to the next
// similar request. It is a hash table of fixed length without chaining: an entry may overwrite the entry of another
// request.
type listSizes struct {
	seed maphash.Seed
	// Each element of sizes contains the upper 32 bits of the hash of a request, and the size of its response in bytes.
	sizes [maxListSizes]atomic.Uint64
}

func newListSizes() *listSizes { return &listSizes{seed: maphash.MakeSeed()} }

const (
	sizeBits = 32
	sizeMask = 1<<sizeBits - 1
)

// expectedCost returns the expected cost of a list request in bytes. It also returns a key, with which recordSize
// records the size of the response.
func (s *listSizes) expectedCost(r *http.Request) (cost int64, key uint64) {
	query := r.URL.Query()
	for _, parameter := range []string{"continue", "resourceVersion", "resourceVersionMatch"} {
		query.Del(parameter)
	}
	key = maphash.String(s.seed, r.URL.Path+"?"+query.Encode())
	if known := s.sizes[key%maxListSizes].Load(); known>>sizeBits == key>>sizeBits {
		return max(minListCost, int64(known&sizeMask)), key
	}
	return unknownListCost, key
}

func (s *listSizes) recordSize(key uint64, size int64) {
	s.sizes[key%maxListSizes].Store(key>>sizeBits<<sizeBits | uint64(min(max(size, 0), sizeMask)))
}

type listKey struct{}

// withListResponse returns a context for list requests. The limits for concurrent lists apply only to requests with
// this context.
func withListResponse(ctx context.Context) context.Context {
	return context.WithValue(ctx, listKey{}, true)
}

func isList(ctx context.Context) bool { return ctx.Value(listKey{}) != nil }

// listRequest is a list request in progress. The methods of a nil *listRequest do nothing.
type listRequest struct {
	place      *budget.Place
	sizes      *listSizes
	key        uint64
	cost, read int64
}

// enterList waits until the queue admits a list request. It returns nil if the request is no list, and an error if the
// queue rejects the request.
func (p *pacedRoundTripper) enterList(r *http.Request) (*listRequest, error) {
	if p.listQueue == nil || isWatch(r) || !isList(r.Context()) {
		return nil, nil //nolint:nilnil // a nil list is another call
	}
	cost, key := p.sizes.expectedCost(r)
	place, err := p.listQueue.Enter(r.Context(), p.user, cost)
	if err != nil {
		return nil, err
	}
	return &listRequest{place: place, sizes: p.sizes, key: key, cost: cost}, nil
}

func (l *listRequest) countRead(n int) {
	if l == nil {
		return
	}
	l.read += int64(n)
	if more := l.read - l.cost; more > 0 { // The list is larger than expected.
		l.place.Grow(more)
		l.cost += more
	}
}

// leave records the size of the response, and removes the list from the queue. Repeated calls have no effect.
func (l *listRequest) leave() {
	if l == nil {
		return
	}
	if l.read > 0 {
		l.sizes.recordSize(l.key, l.read)
	}
	l.place.Leave()
}
