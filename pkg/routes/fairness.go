// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"context"
	"sync"

	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// DefaultPerUser is the default limit of requests in flight of one user. It is far more than a dashboard needs, and far
// less than the server accepts.
const DefaultPerUser = 64

// retrySeconds is the Retry-After of a request beyond the limit.
const retrySeconds = 1

// fairness bounds the requests in flight of each user, so that one user cannot occupy the places of other users.
type fairness struct {
	mu       sync.Mutex
	inFlight map[string]int
}

// enter reserves a place for the user of a request, and leave releases it. It returns an error with 42900 if the user
// has no place left. Anonymous requests are not counted, because public endpoints have separate limits.
func (f *fairness) enter(ctx context.Context, limit int) (leave func(), err error) {
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok || IsAnonymous(u) {
		return func() {}, nil
	}
	name := u.GetName()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inFlight[name] >= limit {
		e := envelope.New(dashboardv1alpha1.CodeTooManyRequests,
			"you have %d requests in flight: wait for some of them", limit)
		e.RetryAfterSeconds = retrySeconds
		return nil, e
	}
	if f.inFlight == nil {
		f.inFlight = map[string]int{}
	}
	f.inFlight[name]++
	return func() { f.leave(name) }, nil
}

// holder returns the name to which the memory of a request is charged: the name of its user, or a common name for all
// anonymous requests.
func holder(ctx context.Context) string {
	if u, ok := genericapirequest.UserFrom(ctx); ok {
		return u.GetName()
	}
	return ""
}

func (f *fairness) leave(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inFlight[name]--
	if f.inFlight[name] == 0 {
		delete(f.inFlight, name)
	}
}
