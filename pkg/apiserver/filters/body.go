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
	// MaxBodyBytes is the size of the largest body of a write by an authenticated client. It is the limit of
	// kube-apiserver.
	MaxBodyBytes = 3 << 20
	// MaxSmallBodyBytes is the size of the largest body of any other request, such as a login or a read.
	MaxSmallBodyBytes = 64 << 10
	// bodyTimeout bounds the time in which a body arrives.
	bodyTimeout = 10 * time.Second
	// bodyRetrySeconds is the value of Retry-After in the response to a request whose body exceeds the remaining
	// budget.
	bodyRetrySeconds = 1

	// strangersPart and knownPart are divisors of the total budget. The results are the share of unknown networks and
	// the share of known networks.
	strangersPart, knownPart = 4, 8
	// maxBytesPerNetwork bounds the bytes of bodies from one unknown network, by default a quarter of the share of all
	// unknown networks. maxBytesPerKnown bounds the bytes from one known network.
	maxBytesPerNetwork, maxBytesPerKnown = 2 << 20, 1 << 20
	// firstBytes is reserved before the first byte arrives.
	firstBytes = 4 << 10
	// freeHeaderBytes is the size of headers that is not charged. Larger headers are charged with the body.
	freeHeaderBytes = 4 << 10
	// userStep is the minimum charge for a body of a user. It bounds the number of bodies of a user that arrive at the
	// same time.
	userStep = 64 << 10
)

// Bodies bounds request bodies: the size of each body, depending on its sender, and the bytes of all bodies in memory.
type Bodies struct {
	strangers, known, users *budget.Budget
	origin                  func(*http.Request) Origin
}

// Origin is the origin of a request without authentication.
type Origin struct {
	// Network is the network of the client. One client may use all addresses of its network.
	Network string
	// Known is true for networks with a logged-in user and for networks that the administrator trusts. They have a
	// separate share of the budget.
	Known bool
}

// NewBodies returns a bound of total bytes for all bodies. Clients without authentication get shares of it, depending
// on their origin.
func NewBodies(total int64, origin func(*http.Request) Origin) *Bodies {
	strangers, known := total/strangersPart, total/knownPart
	return &Bodies{
		strangers: budget.NewShared(budget.Options{Total: strangers, Share: maxBytesPerNetwork, Step: firstBytes}),
		known:     budget.NewShared(budget.Options{Total: known, Share: maxBytesPerKnown, Step: firstBytes}),
		users:     budget.NewShared(budget.Options{Total: total - strangers - known, Step: userStep}),
		origin:    origin,
	}
}

// WithBody reads the whole body before it calls the next handler, so that a slow client does not count as a request in
// flight. It must run after authentication, because the limit depends on the client.
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

// read reads the body into memory, and replaces it with a body that reads from there. It charges the returned account
// for the bytes. The account is nil if the request has no body.
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
		return MaxSmallBodyBytes, b.unauthenticated(b.origin(r))
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return MaxSmallBodyBytes, b.users.Account(u.GetName(), 0)
	default:
		return MaxBodyBytes, b.users.Account(u.GetName(), 0)
	}
}

// unauthenticated returns an account of the budget for known networks if the origin is known and the budget has room.
// Otherwise it returns an account of the budget for unknown networks.
func (b *Bodies) unauthenticated(from Origin) *budget.Account {
	if from.Known {
		account := b.known.Account(from.Network, 0)
		if account.Take(firstBytes) == nil {
			account.Give(firstBytes)
			return account
		}
	}
	return b.strangers.Account(from.Network, 0)
}

// readWithHeaders reads a body of at most limit bytes. It charges the account for the headers until the body has
// arrived.
func readWithHeaders(r *http.Request, limit int64, account *budget.Account) ([]byte, error) {
	if err := account.Take(max(0, int64(headerBytes(r))-freeHeaderBytes)); err != nil {
		return nil, noRoom(err)
	}
	return readAll(r.Body, r.ContentLength, limit, account)
}

// readAll reads a body of at most limit bytes. It uses the client's Content-Length only to reject a body that is too
// large.
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

// arrival is a body that is being received. Its deadline applies to every sender, whether or not a handler reads the
// body.
type arrival struct {
	connection *http.ResponseController
	arrived    atomic.Bool
}

type arrivalKey struct{}

// expectBody sets the deadline of the body of a request. It returns nil if there is no body.
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

// answerTime bounds the time to write the response to a request whose body did not arrive.
const answerTime = time.Second

// withArrival returns a context with the arrival. If the body does not arrive, net/http cancels the context of the
// connection, and no response could be written with it. The returned context ends answerTime later.
func withArrival(ctx context.Context, a *arrival) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), arrivalKey{}, a))
	stop := context.AfterFunc(ctx, func() {
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

// done removes the deadline, because the server sets another deadline for the next request.
func (a *arrival) done() {
	a.arrived.Store(true)
	// Setting the deadline has worked before, so an error means that the connection has ended.
	_ = a.connection.SetReadDeadline(time.Time{})
}

// pending returns true if a part of the body may still arrive.
func (a *arrival) pending() bool { return a != nil && !a.arrived.Load() }
