// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kubevision-io/kubevision/pkg/clusters/answer"
)

// Limits bound what is read of a member. A member may answer whatever it likes.
type Limits struct {
	// Response is the largest response in bytes, after decompression. Where Kept is given, it is the largest event of a
	// watch, too.
	Response int64
	// Kept bounds the memory that objects may take which are read of the member until the connection is closed, in
	// bytes. Without it, nothing that is read may be kept.
	Kept int64
	// Pool bounds the same for all members together. It is required with Kept.
	Pool *Pool
	// Registered is when the member was registered. The Pool takes from younger members first.
	Registered time.Time
}

// ServerLimits are for requests of users, whose answers are passed on as they come.
func ServerLimits() Limits { return Limits{Response: maxResponseBytes} }

// ControllerLimits returns the limits for controllers, which hold what is theirs on a member: 50,000 RoleBindings are
// about 136 MiB as they are counted.
func ControllerLimits(pool *Pool, registered time.Time) Limits {
	return Limits{Response: 16 << 20, Kept: maxKept, Pool: pool, Registered: registered}
}

const (
	// maxKept is what objects of one member may take, in bytes.
	maxKept = 144 << 20
	// DefaultMemberCacheBytes is what objects of all members may take together unless something else is said.
	DefaultMemberCacheBytes = 192 << 20
)

// errKept is returned where a member has sent more than is kept of one, or gives way to others.
var errKept error = answer.NewFailure("the cluster sends more than is kept of one, or clusters together more than is kept of all", nil)

// meter counts the memory that objects may take which a member sends, and ends a connection by which too much has come.
// It reads JSON only.
type meter struct {
	next     http.RoundTripper
	response int64
	share    *share
}

// RoundTrip sends a request.
func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	if m.share.isOver() {
		return nil, errKept
	}
	response, err := m.next.RoundTrip(metered(r))
	if err != nil || response.StatusCode >= http.StatusMultipleChoices { // which the transport before this one has made
		return response, err
	}
	mediaType, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil || mediaType != mediaTypeJSON {
		_ = response.Body.Close()
		return nil, answer.NewFailure("the answer of the cluster is not JSON", err)
	}
	l, _ := r.Context().Value(loanKey{}).(*loan)
	response.Body = &meteredBody{
		ReadCloser: response.Body, meter: m, loan: l, scanner: scanner{limit: m.response},
	}
	return response, nil
}

// metered asks for what can be counted: JSON; and lists in pages, which API servers do not give where a list may be
// old.
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

// spend counts, and is false where it is too much.
func (m *meter) spend(n int64, l *loan) bool {
	if l != nil {
		l.add(m.share, n)
	}
	return m.share.spend(n)
}

type meteredBody struct {
	io.ReadCloser

	meter   *meter
	loan    *loan
	scanner scanner
}

// Read reads the body.
func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	cost, fits := b.scanner.scan(p[:n])
	if !fits {
		return 0, ErrTooLarge
	}
	if !b.meter.spend(cost, b.loan) {
		return 0, errKept
	}
	return n, err //nolint:wrapcheck // io.EOF must not be wrapped
}

type loanKey struct{}

// loan is what was spent on objects that are soon dropped.
type loan struct {
	mu    sync.Mutex
	share *share
	spent int64
}

func (l *loan) add(s *share, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.share = s
	l.spent += n
}

// Lend returns a context for calls to one member, and a function that says that nothing of their answers is kept any
// more.
func Lend(ctx context.Context) (context.Context, func()) {
	l := &loan{}
	return context.WithValue(ctx, loanKey{}, l), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.share != nil {
			l.share.spend(-l.spent)
		}
		l.spent = 0
	}
}
