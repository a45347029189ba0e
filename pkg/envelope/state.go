// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"context"
	"crypto/rand"
	"sync"

	"github.com/oklog/ulid/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
)

type stateKey struct{}

// State is the state of one request. It has a lock because a handler may still write to it after a timeout.
type State struct {
	// RequestID is meta.requestId.
	RequestID string

	mu      sync.Mutex
	code    dashboardv1alpha1.Code
	route   string
	cluster string
	user    string
	failure *Error
	// streamed is true after a response other than an envelope has begun.
	streamed bool
}

// NewState returns the state of a new request.
func NewState() *State {
	return &State{RequestID: "req_" + ulid.MustNew(ulid.Now(), rand.Reader).String(),
		code: dashboardv1alpha1.CodeInternal}
}

// WithState returns a context with the state.
func WithState(ctx context.Context, s *State) context.Context {
	return context.WithValue(ctx, stateKey{}, s)
}

// StateFrom returns the state of a context, or nil outside of the API's prefixes.
func StateFrom(ctx context.Context) *State {
	s, _ := ctx.Value(stateKey{}).(*State)
	return s
}

// SetRoute records the template of the route, for metrics.
func (s *State) SetRoute(route string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.route = route
}

// SetCluster records the registered cluster of the request, for metrics.
func (s *State) SetCluster(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cluster = name
}

// Cluster returns the name that SetCluster recorded, or an empty string.
func (s *State) Cluster() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cluster
}

// SetUser records the name of the caller, for the log.
func (s *State) SetUser(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = name
}

// User returns the name that SetUser recorded, or an empty string.
func (s *State) User() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user
}

// SetFailure records the reason for which the caller is not authenticated, for the filter that converts the library's
// 401 response to an envelope.
func (s *State) SetFailure(e *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = e
}

// Failure returns the error that SetFailure recorded, or nil.
func (s *State) Failure() *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// Outcome returns the route, which is empty if no route matched, and the code of the response.
func (s *State) Outcome() (string, dashboardv1alpha1.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.route, s.code
}

func (s *State) setCode(code dashboardv1alpha1.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.code = code
}

// MarkStreamed records that a response other than an envelope has begun: a WebSocket, or a stream of events.
func MarkStreamed(ctx context.Context) {
	s := StateFrom(ctx)
	if s == nil {
		return
	}
	s.mu.Lock()
	s.streamed = true
	s.mu.Unlock()
	s.setCode(dashboardv1alpha1.CodeOK)
	annotate(ctx, dashboardv1alpha1.CodeOK, s.RequestID)
}

// Streamed returns true if MarkStreamed was called.
func (s *State) Streamed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streamed
}
