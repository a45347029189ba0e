// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package containerlogs

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strconv"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

const (
	podResource    = "pods"
	logSubresource = "log"

	// shortestWait is the minimum pause between the end of a followed log and the next request for it. The log may
	// continue, for example after a restart of the container.
	shortestWait = 500 * time.Millisecond
	// longestWait is the maximum pause between the end of a followed log and the next request for it. The pause doubles
	// with each request that returns no new lines.
	longestWait = 5 * time.Second
	// maxFailures bounds the number of consecutive failed requests for a log.
	maxFailures = 5
)

// source is the log of one container. It remembers the time of the last line. If a followed log is requested again, the
// request begins with this time.
type source struct {
	// reading is locked while a Pod is decoded. All sources of a request share this lock. Therefore, a request never
	// has more than one decoded Pod in memory.
	reading *sync.Mutex

	caller                    *clusters.Client
	resource                  clusters.Resource
	namespace, pod, container string
	// uid is the UID of the Pod, or empty if the Pod was not read.
	uid     string
	options options

	// last is the time of the last line that was emitted.
	last time.Time
	// linesAtLast is the number of emitted lines that have the same time as the last emitted line. A repeated request
	// for the log returns these lines again, and they are skipped.
	linesAtLast int
}

// attributes returns the ResourceAttributes of a SubjectAccessReview for reading the logs of a Pod. An empty name means
// all Pods in the namespace.
func attributes(namespace, pod string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{
		Namespace: namespace, Verb: "get", Version: "v1", Resource: podResource, Subresource: logSubresource, Name: pod,
	}
}

// open requests the log. If lines were already emitted, it requests only the lines since the time of the last emitted
// line.
func (s *source) open(ctx context.Context) (io.ReadCloser, error) {
	query := url.Values{"timestamps": {"true"}}
	if s.container != "" {
		query.Set("container", s.container)
	}
	if s.options.follow {
		query.Set("follow", "true")
	}
	if s.options.previous {
		query.Set("previous", "true")
	}
	since := s.options.since
	if !s.last.IsZero() {
		since = s.last
	} else if s.options.tail >= 0 {
		query.Set("tailLines", strconv.FormatInt(s.options.tail, 10))
	}
	if !since.IsZero() { // The API has a resolution of seconds.
		query.Set("sinceTime", since.UTC().Truncate(time.Second).Format(time.RFC3339))
	}
	return s.caller.Follow(ctx, clusters.Call{
		Resource: s.resource, Namespace: s.namespace, Name: s.pod, Subresource: logSubresource, Query: query,
		Accept: "*/*",
	})
}

// read calls emit with each line of a log. body is the response body of the first request for the log. If the log is
// followed, read requests the log again after the container has restarted or the connection was lost. It then continues
// with the first line that was not emitted.
func (s *source) read(ctx context.Context, body io.ReadCloser, emit func(Line) error) error {
	wait, failures := shortestWait, 0
	for {
		emitted, err := s.emitNew(body, emit)
		if err != nil || !s.options.follow {
			return err
		}
		if emitted {
			wait, failures = shortestWait, 0
		}
		for body = nil; body == nil; {
			if over, err := s.isOver(ctx); err != nil || over {
				return err
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			wait = min(2*wait, longestWait)
			body, err = s.open(ctx)
			if err == nil {
				continue
			}
			failures++
			if failures > maxFailures || isDenial(err) {
				return s.failed(ctx, err)
			}
		}
	}
}

// failed converts err, which a log request has returned, to an error with a code.
func (s *source) failed(ctx context.Context, err error) error {
	return authorization.CallError(ctx, s.caller, attributes(s.namespace, s.pod), err)
}

func isDenial(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }

// emitNew reads the lines of a response body, and closes the body. It calls emit only with lines that were not emitted
// before. hasEmitted is true if emitNew has called emit.
func (s *source) emitNew(body io.ReadCloser, emit func(Line) error) (hasEmitted bool, err error) {
	defer func() { _ = body.Close() }()
	lines, again, skip := newLineReader(body), s.last, s.linesAtLast
	for {
		line, err := lines.next()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), s.options.follow: // A followed log is requested again after a read error.
			return hasEmitted, nil
		default:
			return hasEmitted, err
		}
		if !again.IsZero() && (line.at.Before(again) || line.at.Equal(again) && skip > 0) {
			if line.at.Equal(again) {
				skip--
			}
			continue
		}
		if !s.options.since.IsZero() && line.at.Before(s.options.since) {
			continue
		}
		hasEmitted = true
		s.note(line.at)
		line.Pod, line.Container = s.pod, s.container
		if err := emit(line); err != nil {
			return hasEmitted, err
		}
	}
}

func (s *source) note(at time.Time) {
	if at.Equal(s.last) {
		s.linesAtLast++
		return
	}
	s.last, s.linesAtLast = at, 1
}

// isOver returns true if a followed log must not be requested again. This is the case if the container will not run
// again, if the Pod was deleted, or if the user may not get the Pod.
func (s *source) isOver(ctx context.Context) (bool, error) {
	if ctx.Err() != nil {
		return true, context.Cause(ctx)
	}
	body, err := s.caller.Follow(ctx, clusters.Call{Resource: s.resource, Namespace: s.namespace, Name: s.pod})
	switch {
	case apierrors.IsNotFound(err), isDenial(err): // After a denial, it is unknown whether the container runs.
		return true, nil
	case err != nil:
		return false, nil // the next request for the log returns the error
	}
	defer func() { _ = body.Close() }()
	s.reading.Lock()
	defer s.reading.Unlock()
	found, err := decodePod(body, budget.AccountFrom(ctx))
	if err != nil {
		return true, err
	}
	// Another UID means that the Pod was deleted, and that another Pod has the same name.
	return (s.uid != "" && found.Metadata.UID != s.uid) || found.isOver(s.container), nil
}
