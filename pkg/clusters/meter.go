// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

// Limits bounds the data that is read from a member cluster.
type Limits struct {
	// Response bounds the size of each response after decompression, in bytes. In watches for a cache, each event
	// counts as a response.
	Response int64
	// Kept bounds the estimated memory of the objects that are cached from the member cluster, in bytes. If it is
	// zero, this memory is not counted.
	Kept int64
	// Pool bounds the memory of the objects that are cached from all member clusters. It is required if Kept is set.
	Pool *Pool
	// Registered is the creation time of the KubeVisionCluster. If the cached objects of all clusters need too much
	// memory, newer clusters are usually disconnected first.
	Registered time.Time
}

// ServerLimits returns the limits of kubevision-apiserver, which apply to each response. The read cache of
// kubevision-apiserver has a separate limit.
func ServerLimits() Limits { return Limits{Response: maxResponseBytes} }

// ControllerLimits returns the limits for the data that controllers read from one member cluster. registered is the
// creation time of the KubeVisionCluster.
func ControllerLimits(pool *Pool, registered time.Time) Limits {
	return Limits{Response: 16 << 20, Kept: maxKept, Pool: pool, Registered: registered}
}

const (
	// maxKept bounds the memory of the objects that are cached from one member cluster, in bytes. It suffices for
	// 50,000 RoleBindings, which need about 136 MiB.
	maxKept = 144 << 20
	// DefaultMemberCacheBytes is the default limit of the memory of the objects that are cached from all member
	// clusters, in bytes.
	DefaultMemberCacheBytes = 192 << 20
)

// errTooMuchCached is returned when a member cluster was disconnected to limit the memory of cached objects.
var errTooMuchCached error = response.NewFailure(
	"the cluster sends more data than may be cached of one cluster, or all clusters send more than may be cached in "+
		"total", nil)

// meter is a round tripper that estimates the memory of the objects that a member cluster sends. It counts this memory
// towards the limits for cached objects. It accepts only JSON responses.
type meter struct {
	next     http.RoundTripper
	response int64
	share    *share
}

// RoundTrip sends the request. Each Read of the response body estimates the memory of the received objects, and counts
// this memory towards the limits for cached objects. After the member cluster was disconnected to limit the memory of
// cached objects, RoundTrip and Read return errTooMuchCached.
func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.share.isDisconnected() {
		return nil, errTooMuchCached
	}
	l, _ := r.Context().Value(transientMemoryKey{}).(*transientMemory)
	found := &scanner{limit: m.response}
	return countJSON(m.next, countable(r), func(piece []byte) error {
		cost, fits := found.scan(piece)
		if !fits {
			return ErrTooLarge
		}
		if !m.spend(cost, l) {
			return errTooMuchCached
		}
		return nil
	})
}

func countable(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	// The memory of a response can only be estimated if the response is JSON.
	var accept []string
	for value := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		if value = strings.TrimSpace(value); strings.HasPrefix(value, mediaTypeJSON) {
			accept = append(accept, value)
		}
	}
	if len(accept) == 0 {
		accept = []string{mediaTypeJSON}
	}
	r.Header.Set("Accept", strings.Join(accept, ","))
	// With resourceVersion=0, API servers ignore the limit and send the whole list as one page.
	if query := r.URL.Query(); !isWatch(r) && query.Has("limit") && query.Get("resourceVersion") == "0" {
		query.Del("resourceVersion")
		query.Del("resourceVersionMatch")
		r.URL.RawQuery = query.Encode()
	}
	return r
}

// spend counts n bytes of memory for the member cluster, and also in l if l is not nil. If this member cluster or all
// member clusters together then use too much memory, spend disconnects this or another member cluster. It returns false
// if this cluster is disconnected.
func (m *meter) spend(n int64, l *transientMemory) bool {
	if l != nil {
		l.add(m.share, n)
	}
	return m.share.spend(n)
}

type transientMemoryKey struct{}

// transientMemory sums the memory of objects that are dropped after use instead of being cached.
type transientMemory struct {
	mu    sync.Mutex
	share *share
	spent int64
}

func (l *transientMemory) add(s *share, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.share = s
	l.spent += n
}

// WithTransientMemory returns a context for responses that the caller does not cache. The caller must call release
// after it has dropped them.
func WithTransientMemory(ctx context.Context) (transient context.Context, release func()) {
	l := &transientMemory{}
	return context.WithValue(ctx, transientMemoryKey{}, l), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.share != nil {
			l.share.spend(-l.spent)
		}
		l.spent = 0
	}
}
