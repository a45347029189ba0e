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

// DefaultPerUser is the default limit of concurrent requests of one user. A dashboard needs far fewer, and the server
// accepts far more in total.
const DefaultPerUser = 64

// retrySeconds is the value of the Retry-After header, in seconds, if a user has too many requests in flight.
const retrySeconds = 1

// fairness counts the requests in flight of each user, so that one user cannot use all concurrent requests of the
// server.
type fairness struct {
	mu       sync.Mutex
	inFlight map[string]int
}

// enter counts a request as in flight until leave() is called. If the user already has maxInFlight requests in flight,
// enter returns an error with the code 42900. Anonymous requests are not counted, because public endpoints have
// separate limits.
func (f *fairness) enter(ctx context.Context, maxInFlight int) (leave func(), err error) {
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok || IsAnonymous(u) {
		return func() {}, nil
	}
	name := u.GetName()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inFlight[name] >= maxInFlight {
		e := envelope.New(dashboardv1alpha1.CodeTooManyRequests,
			"you have %d requests in flight: wait for some of them", maxInFlight)
		e.RetryAfterSeconds = retrySeconds
		return nil, e
	}
	if f.inFlight == nil {
		f.inFlight = map[string]int{}
	}
	f.inFlight[name]++
	return func() { f.leave(name) }, nil
}

// holder returns the name of the user of a request, or an empty string. The memory of the request is charged to this
// name.
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
