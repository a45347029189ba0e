// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

type checkState struct {
	mu sync.Mutex
	// running is true while a goroutine of the stream performs checks.
	running bool
	// requested is true if another check was requested, but has not begun yet.
	requested bool
	// passed is the time at which the last successful check began.
	passed time.Time
}

// recheck starts a goroutine that checks the session and the rights of the caller. If the goroutine is already running,
// recheck makes it check once more.
func (s *Stream) recheck() {
	s.checks.mu.Lock()
	defer s.checks.mu.Unlock()
	s.checks.requested = true
	if s.checks.running || s.done.Err() != nil {
		return
	}
	s.checks.running = true
	go s.runChecks()
}

func (s *Stream) runChecks() {
	defer s.recovered()
	for s.takeRequest() { // recheck may have requested another check during the last one
		began := time.Now()
		err := s.checkOnce()
		switch {
		case err == nil:
			s.checks.mu.Lock()
			s.checks.passed = began
			s.checks.mu.Unlock()
			continue
		case isDenial(err):
			s.End(EndOf(err))
		default:
			s.failedCheck(err)
		}
	}
}

// takeRequest returns true if a check is requested and the stream has not ended. It also clears the request.
func (s *Stream) takeRequest() bool {
	s.checks.mu.Lock()
	defer s.checks.mu.Unlock()
	// If there is no request, the goroutine returns. A later request must start another goroutine.
	s.checks.running = s.checks.requested && s.done.Err() == nil
	s.checks.requested = false
	return s.checks.running
}

// failedCheck handles a check that could not determine the rights of the caller, for example because a cluster is
// unreachable. It ends the stream if no check has succeeded within checkGrace. Otherwise, it waits for
// minRecheckInterval and requests another check.
func (s *Stream) failedCheck(err error) {
	s.checks.mu.Lock()
	since := time.Since(s.checks.passed)
	s.checks.mu.Unlock()
	klog.FromContext(s.done).V(2).Info("The right to a stream cannot be checked", "verb", s.verb, "reason", err.Error())
	if since > checkGrace {
		s.End(NewEnd(Failed, "your right could not be checked"))
		return
	}
	select {
	case <-time.After(minRecheckInterval): // also if the RBAC objects are watched
	case <-s.done.Done():
	}
	s.checks.mu.Lock()
	s.checks.requested = true
	s.checks.mu.Unlock()
}

func (s *Stream) checkOnce() error {
	s.mu.Lock()
	caller, expires := s.user, s.expires
	s.mu.Unlock()
	if !expires.IsZero() && !time.Now().Before(expires) {
		return NewEnd(TokenExpired, "the access token has expired")
	}
	ctx, cancel := context.WithTimeout(s.done, checkTimeout)
	defer cancel()
	if s.manager.options.Check != nil {
		if err := s.manager.options.Check(ctx, caller); err != nil {
			return fmt.Errorf("checking the session: %w", err)
		}
	}
	if s.handler.Check != nil {
		return s.handler.Check(ctx)
	}
	return nil
}

// isDenial returns true if the error of a check says that the caller has no right or no session. It returns false if
// the check itself failed.
func isDenial(err error) bool {
	if _, ok := errors.AsType[*End](err); ok {
		return true
	}
	known, ok := errors.AsType[*envelope.Error](err)
	return ok && known.Code < dashboardv1alpha1.CodeInternal && known.Code != dashboardv1alpha1.CodeTooManyRequests
}
