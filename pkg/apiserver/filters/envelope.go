// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"
	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// WithEnvelope returns the outermost filter, which rejects malformed requests and converts errors to envelopes. The
// function shared must return true if the connection of the request also serves other clients.
func WithEnvelope(next http.Handler, shared func(*http.Request) bool, refusals *Refusals) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		expire(w)
		if !UnderAPI(r.URL.Path) {
			if what, status := oversized(r); what != "" {
				http.Error(w, what, status)
				return
			}
			if header := impersonationHeader(r.Header); header != "" {
				http.Error(w, "the header "+header+" is not accepted", http.StatusBadRequest)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		serveEnveloped(next, shared, refusals, w, r)
	})
}

func serveEnveloped(
	next http.Handler, shared func(*http.Request) bool, refusals *Refusals, w http.ResponseWriter, r *http.Request,
) {
	start := time.Now()
	state := envelope.NewState()
	ctx := klog.NewContext(envelope.WithState(r.Context(), state),
		klog.FromContext(r.Context()).WithValues("requestID", state.RequestID))
	ew := &writer{ResponseWriter: w, requestID: state.RequestID, shared: func() bool { return shared(r) }}
	r = r.WithContext(ctx)
	// Log lines and audit events of k8s.io/apiserver contain this header. If kube-apiserver proxies the request,
	// kube-apiserver has set the header to its own audit ID. Otherwise, the header gets the request ID.
	if r.Header.Get(auditinternal.HeaderAuditID) == "" {
		r.Header.Set(auditinternal.HeaderAuditID, state.RequestID)
	}
	// The response is JSON for every Accept header.
	r.Header.Set("Accept", "application/json")

	method := r.Method
	defer func() { observe(ctx, method, state, time.Since(start)) }()
	if err := checkRequest(r); err != nil {
		envelope.WriteError(ctx, ew, err)
		return
	}
	expected, err := expectBody(w, r)
	if err != nil {
		envelope.WriteError(ctx, ew, err)
		return
	}
	if expected != nil {
		ew.arrival = expected
		arriving, cancel := withArrival(ctx, expected)
		defer cancel()
		r = r.WithContext(arriving)
	}
	serveRecovered(ctx, next, ew, withoutCredentials(canonical(r)))
	if state.Streamed() {
		return
	}
	if err := ew.errorToSend(state, r.Method); err != nil {
		if refusals != nil && envelope.As(err).Code == dashboardv1alpha1.CodeUnauthenticated {
			refusals.Wait(ctx)
		}
		ew.status = 0
		envelope.WriteError(ctx, ew, err)
	}
}

// serveRecovered calls next, and recovers from a panic. If no response has begun, it records the status 500 in the
// writer, and the caller must send an error envelope. If a response has begun, or if the panic is http.ErrAbortHandler,
// it panics again. net/http then aborts the connection, and the client recognizes an incomplete response.
func serveRecovered(ctx context.Context, next http.Handler, w *writer, r *http.Request) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		begun := w.status == http.StatusOK || w.hijacked
		if aborted, _ := p.(error); errors.Is(aborted, http.ErrAbortHandler) || begun {
			panic(p)
		}
		klog.FromContext(ctx).Error(nil, "Observed a panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		w.status = http.StatusInternalServerError
	}()
	next.ServeHTTP(responsewriter.WrapForHTTP1Or2(w), r)
}

// checkRequest returns an error if the URL or the headers are too large or not allowed.
func checkRequest(r *http.Request) error {
	if what, status := oversized(r); status == http.StatusRequestURITooLong {
		return envelope.Invalid("url", "%s", what)
	} else if what != "" {
		return envelope.Invalid("header", "%s", what)
	}
	if header := impersonationHeader(r.Header); header != "" {
		return envelope.Invalid(header,
			"the header %s is not accepted, because requests have the permissions of the caller", header)
	}
	if what := malformed(r); what != "" {
		return envelope.Invalid("path", "%s", what)
	}
	if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return envelope.Invalid("url", "the query of the URL is malformed: encode special characters, also ; and %%")
	}
	if credentialInURL(r.URL) {
		return envelope.New(dashboardv1alpha1.CodeUnauthenticated,
			"a token in the URL is not accepted, because URLs are logged: send it in a header")
	}
	return nil
}

// impersonationHeader returns the name of the first Impersonate-* header, or an empty string.
func impersonationHeader(h http.Header) string {
	var found []string
	for name := range h {
		if strings.HasPrefix(strings.ToLower(name), "impersonate-") {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// writer is a ResponseWriter that sends only responses with the HTTP status 200, which all envelopes have. For any
// other status, it sends nothing and records the status.
type writer struct {
	http.ResponseWriter
	requestID string
	shared    func() bool
	arrival   *arrival
	status    int
	// hijacked is true after the connection was upgraded to a WebSocket.
	hijacked bool
}

// Hijack implements http.Hijacker.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	w.hijacked = w.hijacked || err == nil
	return conn, buffered, err //nolint:wrapcheck // as net.Conn returns it
}

// Unwrap returns the inner ResponseWriter, for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader sends the headers if the status is 200. For any other status, it sends nothing.
func (w *writer) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	if status != http.StatusOK {
		return // serveEnveloped sends an error envelope after the handler has returned
	}
	h := w.Header()
	if w.arrival.pending() {
		h.Set("Connection", "close") // the rest of the body is not read
	}
	// k8s.io/apiserver closes the connection after an unauthenticated request. Other clients still need a shared one.
	if h.Get("Connection") != "" && w.shared() {
		h.Del("Connection")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(dashboardv1alpha1.RequestIDHeader, w.requestID)
	w.ResponseWriter.WriteHeader(status)
}

// Write sends p if the status of the response is 200. For any other status, it discards p, and WithEnvelope sends an
// error envelope after the handler has returned.
func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.status != http.StatusOK {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// later returns the error for a request that k8s.io/apiserver has rejected temporarily. The status is 503 during the
// shutdown, and 429 if there are too many requests.
func later(status int, retryAfter int64) error {
	e := envelope.New(dashboardv1alpha1.CodeTooManyRequests, "too many requests: try again later")
	if status == http.StatusServiceUnavailable {
		e = envelope.New(dashboardv1alpha1.CodeUnreachable, "this replica is shutting down: try again")
	}
	e.RetryAfterSeconds = max(retryAfter, 1)
	return e
}

// errorToSend returns the error that the client gets if the handler has sent no response. If the handler has sent a
// response, it returns nil.
func (w *writer) errorToSend(state *envelope.State, method string) error {
	if w.status == http.StatusOK {
		return nil
	}
	h := w.Header()
	retryAfter, _ := strconv.ParseInt(h.Get("Retry-After"), 10, 64)
	// These headers describe the response that the error replaces.
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Type", "Location", "Www-Authenticate",
		"Retry-After", "Allow"} {
		h.Del(name)
	}
	switch {
	case w.status == 0:
		return envelope.Internal(errors.New("no handler wrote a response"))
	case w.status == http.StatusUnauthorized:
		if failure := state.Failure(); failure != nil {
			return failure
		}
		return envelope.Unauthenticated()
	case w.status == http.StatusForbidden:
		return envelope.New(dashboardv1alpha1.CodeForbidden, "you may not do this")
	case w.status == http.StatusMethodNotAllowed:
		return envelope.New(dashboardv1alpha1.CodeNotFound, "no route at this path accepts the method %s", method)
	case w.status == http.StatusTooManyRequests, w.status == http.StatusServiceUnavailable:
		return later(w.status, retryAfter)
	case w.status == http.StatusRequestEntityTooLarge:
		return envelope.Invalid("body", "the request is too large")
	case w.status >= 300 && w.status < 400, w.status == http.StatusNotFound:
		return envelope.New(dashboardv1alpha1.CodeNotFound, "there is no route at this path")
	case w.status >= 400 && w.status < 500:
		return envelope.Invalid("request", "the request is malformed")
	case w.status == http.StatusGatewayTimeout: // also if the client has disconnected
		return envelope.Late(errors.New("the handler chain has ended the request"))
	default:
		return envelope.Internal(errors.New("the handler chain responded with HTTP status " + strconv.Itoa(w.status)))
	}
}
