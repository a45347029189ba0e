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

// State is what is known of one request while it is served. A handler that has timed out may still write to it, hence the lock.
type State struct {
	// RequestID is meta.requestId.
	RequestID string

	mu      sync.Mutex
	code    dashboardv1alpha1.Code
	route   string
	failure *Error
}

// NewState begins a request.
func NewState() *State {
	return &State{RequestID: "req_" + ulid.MustNew(ulid.Now(), rand.Reader).String(), code: dashboardv1alpha1.CodeInternal}
}

// WithState makes the state findable in the context.
func WithState(ctx context.Context, s *State) context.Context {
	return context.WithValue(ctx, stateKey{}, s)
}

// StateFrom is the state of the request, nil outside of the API's prefixes.
func StateFrom(ctx context.Context) *State {
	s, _ := ctx.Value(stateKey{}).(*State)
	return s
}

// SetRoute notes the template of the route that serves the request, for metrics.
func (s *State) SetRoute(route string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.route = route
}

// SetFailure notes why the caller is not authenticated, for the filter that turns the library's plain 401 into an envelope.
func (s *State) SetFailure(e *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = e
}

// Failure is what SetFailure noted, or nil.
func (s *State) Failure() *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// Outcome is the route that served the request, empty where none did, and the code of the response.
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
