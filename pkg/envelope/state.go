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

// State records the progress of one request, for metrics, logs and the filters. It has a lock because a handler may
// still write to it after the request has timed out.
type State struct {
	// RequestID is the request id, which is sent in meta.requestId.
	RequestID string

	mu      sync.Mutex
	code    dashboardv1alpha1.Code
	route   string
	cluster string
	user    string
	failure *Error
	// streamed is true if the response is a stream instead of an envelope.
	streamed bool
}

// NewState returns the State of a new request, with a new request id. Until a response is written, the code is
// CodeInternal.
func NewState() *State {
	return &State{RequestID: "req_" + ulid.MustNew(ulid.Now(), rand.Reader).String(),
		code: dashboardv1alpha1.CodeInternal}
}

// WithState returns a context that contains s.
func WithState(ctx context.Context, s *State) context.Context {
	return context.WithValue(ctx, stateKey{}, s)
}

// StateFrom returns the State in ctx, or nil for a request outside of the API's prefixes.
func StateFrom(ctx context.Context) *State {
	s, _ := ctx.Value(stateKey{}).(*State)
	return s
}

// SetRoute records the path of the matching route, with the names of its parameters, for metrics.
func (s *State) SetRoute(route string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.route = route
}

// SetCluster records the name of the cluster that the request addresses, for metrics and the log.
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

// SetFailure records the error for a caller who could not be authenticated. A filter writes it as an envelope instead
// of the 401 response of k8s.io/apiserver.
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

// Outcome returns the path that SetRoute recorded, and the code of the response. The path is empty if no route matched.
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

// MarkStreamed records that the response is a stream instead of an envelope, for example a WebSocket or server-sent
// events. It must be called when the response begins.
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

// Streamed returns true if the response is a stream, for example a WebSocket or server-sent events. MarkStreamed
// records this when the response begins.
func (s *State) Streamed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streamed
}
