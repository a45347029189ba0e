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

// Limits bounds the bytes that are read from a member.
type Limits struct {
	// Response bounds a response in bytes, after decompression. If Kept is set, it also bounds an event of a watch.
	Response int64
	// Kept bounds the memory of the objects that are cached from the member until the connection is closed, in bytes.
	// Zero means that nothing may be cached.
	Kept int64
	// Pool bounds the memory of the cached objects of all members. It is required if Kept is set.
	Pool *Pool
	// Registered is the creation time of the registration. The Pool drops the newest members first.
	Registered time.Time
}

// ServerLimits returns the limits for requests of users, whose responses are streamed.
func ServerLimits() Limits { return Limits{Response: maxResponseBytes} }

// ControllerLimits returns the limits for controllers, which cache KubeVision's objects on a member: 50,000
// RoleBindings are charged with about 136 MiB.
func ControllerLimits(pool *Pool, registered time.Time) Limits {
	return Limits{Response: 16 << 20, Kept: maxKept, Pool: pool, Registered: registered}
}

const (
	// maxKept bounds the memory of the cached objects of one member, in bytes.
	maxKept = 144 << 20
	// DefaultMemberCacheBytes is the default bound of the memory of the cached objects of all members, in bytes.
	DefaultMemberCacheBytes = 192 << 20
)

// errKept is returned if a member exceeds its bound, or must release memory for other members.
var errKept error = response.NewFailure(
	"the cluster sends more data than may be cached of one cluster, or all clusters send more than may be cached in "+
		"total", nil)

// meter counts the memory of the objects that a member sends, and closes the connection of a member that exceeds its
// bound. It accepts JSON only.
type meter struct {
	next     http.RoundTripper
	response int64
	share    *share
}

// RoundTrip sends the request, and charges the objects in the response to the member. It returns errKept if the
// connection of the member is being closed.
func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.share.isOver() {
		return nil, errKept
	}
	l, _ := r.Context().Value(transientMemoryKey{}).(*transientMemory)
	found := &scanner{limit: m.response}
	return countJSON(m.next, metered(r), func(piece []byte) error {
		cost, fits := found.scan(piece)
		if !fits {
			return ErrTooLarge
		}
		if !m.spend(cost, l) {
			return errKept
		}
		return nil
	})
}

// metered returns a request for a response that can be counted: JSON, and lists in pages. API servers do not page a
// list with a resource version of the cache.
func metered(r *http.Request) *http.Request {
	r = r.Clone(r.Context())
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
	if query := r.URL.Query(); !isWatch(r) && query.Has("limit") && query.Get("resourceVersion") == "0" {
		query.Del("resourceVersion")
		query.Del("resourceVersionMatch")
		r.URL.RawQuery = query.Encode()
	}
	return r
}

// spend counts n bytes, and returns false if they exceed the bound.
func (m *meter) spend(n int64, l *transientMemory) bool {
	if l != nil {
		l.add(m.share, n)
	}
	return m.share.spend(n)
}

type transientMemoryKey struct{}

// transientMemory counts the memory of short-lived objects.
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

// WithTransientMemory returns a context for calls to one member, and a function that releases the memory of their
// responses.
func WithTransientMemory(ctx context.Context) (context.Context, func()) {
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
