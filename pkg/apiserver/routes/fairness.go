// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"context"
	"sync"

	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/envelope"
)

// DefaultPerUser is how many requests of one user may be in flight: far more than a dashboard has open, and far less than the server takes.
const DefaultPerUser = 64

// retrySeconds is after what time somebody with too many requests may try again.
const retrySeconds = 1

// fairness bounds how many requests of each user are in flight, so that nobody takes the places of all others.
type fairness struct {
	limit int

	mu       sync.Mutex
	inFlight map[string]int
}

// enter takes a place for the user of a request; leave gives it back. It is 42900 where the user has all that one may have. Those who have no
// name are not counted: what is public has limits of its own.
func (f *fairness) enter(ctx context.Context) (leave func(), err error) {
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok || Anonymous(u) {
		return func() {}, nil
	}
	name := u.GetName()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inFlight[name] >= f.limit {
		e := envelope.New(dashboardv1alpha1.CodeTooManyRequests, "you have %d requests under way: wait for some of them", f.limit)
		e.RetryAfterSeconds = retrySeconds
		return nil, e
	}
	if f.inFlight == nil {
		f.inFlight = map[string]int{}
	}
	f.inFlight[name]++
	return func() { f.leave(name) }, nil
}

// holder is the name under which the memory of a request counts: that of its user, and one for all who have none.
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
