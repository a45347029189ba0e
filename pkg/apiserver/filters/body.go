// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	// MaxBodyBytes bounds the body of a request of an authenticated client, in bytes. It does not apply to GET and
	// HEAD. kube-apiserver has the same limit.
	MaxBodyBytes = 3 << 20
	// MaxSmallBodyBytes bounds the body of a login or of another unauthenticated request, in bytes. It also bounds the
	// body of a GET or HEAD request.
	MaxSmallBodyBytes = 64 << 10
	// bodyTimeout bounds the time in which a body must arrive.
	bodyTimeout = 10 * time.Second
	// bodyRetrySeconds is the Retry-After, in seconds, of the response that rejects a body because of the memory limit.
	bodyRetrySeconds = 1

	// strangersPart is a divisor. All unauthenticated clients together may use 1/strangersPart of the memory for
	// request bodies.
	strangersPart = 4
	knownPart     = 8
	// maxBytesPerUnknown bounds the memory for the bodies of unauthenticated clients in one network, in bytes.
	maxBytesPerUnknown      = 2 << 20
	maxBytesPerKnownNetwork = 1 << 20
	// firstBytes is the memory that is reserved for a body before its first byte arrives, in bytes.
	firstBytes = 4 << 10
	// freeHeaderBytes is the size up to which the headers of a request are not counted, in bytes. The bytes above this
	// size count towards the memory limit for request bodies, because the headers remain in memory while the body
	// arrives.
	freeHeaderBytes = 4 << 10
	// userStep is the unit in which memory is reserved for the bodies of authenticated clients, in bytes. Each body
	// takes at least one unit, which limits the number of concurrent bodies.
	userStep = 64 << 10
)

// Bodies limits the size of each request body, and the memory of all request bodies.
type Bodies struct {
	strangers, known, users *budget.Budget
	origin                  func(*http.Request) Origin
}

// Origin describes the client that has sent an unauthenticated request.
type Origin struct {
	// Network is the network of the client. All clients in this network count as one client.
	Network string
	// Known is true if a user is logged in from the network, or if the network is in --trusted-login-networks. Known
	// networks have a separate memory limit.
	Known bool
}

// NewBodies returns Bodies that limit the memory of all request bodies to total bytes. The function origin describes
// the client of an unauthenticated request.
func NewBodies(total int64, origin func(*http.Request) Origin) *Bodies {
	strangers, known := total/strangersPart, total/knownPart
	return &Bodies{
		strangers: budget.NewShared(budget.Options{Total: strangers, Share: maxBytesPerUnknown, Step: firstBytes}),
		known:     budget.NewShared(budget.Options{Total: known, Share: maxBytesPerKnownNetwork, Step: firstBytes}),
		users:     budget.NewShared(budget.Options{Total: total - strangers - known, Step: userStep}),
		origin:    origin,
	}
}

// WithBody returns a handler that reads the whole body into memory before it calls next. The filter that limits
// requests in flight must be part of next, so that a client that sends its body slowly does not count as a request in
// flight. WithBody must run after authentication, because the memory limits depend on the user.
func WithBody(next http.Handler, bodies *Bodies) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		account, err := bodies.read(r)
		if err != nil {
			envelope.WriteError(r.Context(), w, err)
			return
		}
		defer account.Close()
		next.ServeHTTP(w, r)
	})
}

// read reads the body into memory, and replaces the body of the request. It charges the memory to an account, and
// returns the account. The caller must close the account. If there is no body, the returned account is nil. read
// returns an error if the body is too large, is compressed, or does not arrive in time.
func (b *Bodies) read(r *http.Request) (*budget.Account, error) {
	if !hasBody(r) {
		return nil, nil //nolint:nilnil // nothing is held
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, envelope.Invalid("Content-Encoding", "Content-Encoding is not accepted: send the body uncompressed")
	}
	limit, account := b.limit(r)
	body, err := readWithHeaders(r, limit, account)
	if err != nil {
		account.Close()
		return nil, err
	}
	if arrived, ok := r.Context().Value(arrivalKey{}).(*arrival); ok {
		arrived.done()
	}
	r.Body, r.ContentLength, r.TransferEncoding = routes.NewBody(body), int64(len(body)), nil
	return account, nil
}

func (b *Bodies) limit(r *http.Request) (int64, *budget.Account) {
	u, ok := genericapirequest.UserFrom(r.Context())
	switch {
	case !ok || routes.IsAnonymous(u):
		return MaxSmallBodyBytes, b.unauthenticatedAccount(b.origin(r))
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return MaxSmallBodyBytes, b.users.Account(u.GetName(), 0)
	default:
		return MaxBodyBytes, b.users.Account(u.GetName(), 0)
	}
}

// unauthenticatedAccount returns the memory account that is charged for a request body from an unauthenticated client.
func (b *Bodies) unauthenticatedAccount(from Origin) *budget.Account {
	// A client in a known network uses the memory for known networks first. If this memory is exhausted, the client
	// uses the memory for all unauthenticated clients.
	if from.Known {
		account := b.known.Account(from.Network, 0)
		if account.Take(firstBytes) == nil {
			account.Give(firstBytes)
			return account
		}
	}
	return b.strangers.Account(from.Network, 0)
}

// readWithHeaders reads a body of at most limit bytes. It also charges the memory of the headers to the account,
// because the headers remain in memory while the body arrives.
func readWithHeaders(r *http.Request, limit int64, account *budget.Account) ([]byte, error) {
	if err := account.Take(max(0, int64(headerBytes(r))-freeHeaderBytes)); err != nil {
		return nil, noRoom(err)
	}
	return readAll(r.Body, r.ContentLength, limit, account)
}

// readAll reads a body of at most limit bytes. If the Content-Length is larger than limit, readAll returns an error
// before it reads. readAll allocates memory only while data arrives, because the client may send less than the
// Content-Length.
func readAll(from io.Reader, length, limit int64, account *budget.Account) ([]byte, error) {
	if length > limit {
		return nil, tooLarge(limit)
	}
	if err := account.Take(firstBytes); err != nil {
		return nil, noRoom(err)
	}
	body := make([]byte, 0, firstBytes)
	for {
		if len(body) == cap(body) {
			grown := min(2*int64(cap(body)), limit+1)
			if err := account.Take(grown - int64(cap(body))); err != nil {
				return nil, noRoom(err)
			}
			body = append(make([]byte, 0, grown), body...)
		}
		n, err := from.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > limit:
			return nil, tooLarge(limit)
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, envelope.Invalid("body", "the body was incomplete, or took longer than %s",
				bodyTimeout).WithCause(err)
		}
	}
}

func tooLarge(limit int64) error {
	return envelope.Invalid("body", "the body is larger than %d bytes", limit)
}

func noRoom(err error) error {
	e := envelope.New(dashboardv1alpha1.CodeTooManyRequests,
		"too many request bodies are in flight: try again in a second").WithCause(err)
	e.RetryAfterSeconds = bodyRetrySeconds
	return e
}

func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// arrival is a request body that is being received. Its deadline is the read deadline of the connection (see
// expectBody). net/http enforces this deadline, even if no handler reads the body.
type arrival struct {
	connection *http.ResponseController
	arrived    atomic.Bool
}

type arrivalKey struct{}

// expectBody sets the read deadline for the body of a request. It returns an arrival, which records whether the body
// has arrived. If there is no body, it returns nil.
func expectBody(w http.ResponseWriter, r *http.Request) (*arrival, error) {
	if !hasBody(r) {
		return nil, nil //nolint:nilnil // nothing is expected
	}
	a := &arrival{connection: http.NewResponseController(w)}
	if err := a.connection.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil &&
		!errors.Is(err, http.ErrNotSupported) {
		return nil, envelope.Internal(err)
	}
	return a, nil
}

// answerTime bounds the time for sending the response if the body of a request did not arrive in time.
const answerTime = time.Second

func withArrival(ctx context.Context, a *arrival) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), arrivalKey{}, a))
	stop := context.AfterFunc(ctx, func() {
		// net/http cancels ctx at the read deadline of the body. The server still needs time for an error response.
		if a.pending() {
			time.AfterFunc(answerTime, cancel)
			return
		}
		cancel()
	})
	return later, func() {
		stop()
		cancel()
	}
}

// done records that the body has arrived, and removes the read deadline.
func (a *arrival) done() {
	a.arrived.Store(true)
	// Setting the deadline has worked before, so an error means that the connection has ended.
	_ = a.connection.SetReadDeadline(time.Time{})
}

// pending returns true if there is a body that has not arrived completely. The receiver is nil if there is no body.
func (a *arrival) pending() bool { return a != nil && !a.arrived.Load() }
