// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verdicts caches the results of access reviews of users on clusters until an RBAC object of the cluster
// changes. It makes no decision of its own, and an error is a denial.
package verdicts

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

const (
	// maxAge bounds the use of a verdict, because a cluster may have authorizers other than RBAC whose changes cannot
	// be watched.
	maxAge = 10 * time.Second
	// renewalAge is the age after which the use of a verdict causes a new review, so that a caller who reads regularly
	// does not wait for reviews.
	renewalAge = maxAge / 2
	// maxRenewals bounds the reviews in progress. While it is reached, the use of a verdict causes no further review.
	maxRenewals = 256
	// settleTime is the time after a change for which an API server may still use the old RBAC objects. Verdicts from
	// that time are used for unsettledAge only.
	settleTime   = 500 * time.Millisecond
	unsettledAge = 250 * time.Millisecond
	// maxOutage bounds the time for which AllowedStale uses the verdicts from before an outage. lastAge bounds the age
	// of these verdicts at the beginning of the outage.
	maxOutage = 5 * time.Minute
	lastAge   = time.Minute
	// outageReviewTimeout bounds an access review during an outage if the last verdict can be used instead.
	outageReviewTimeout = time.Second
	// reviewTimeout bounds one access review, for which several requests may wait.
	reviewTimeout = 10 * time.Second
	// idleTime is the time for which the RBAC objects of a cluster are watched after the last question.
	idleTime = 5 * time.Minute
	// maxWatched bounds the clusters whose RBAC objects are watched. Verdicts about other clusters are not stored.
	maxWatched = 256
)

// connection is the part of clusters.Connection that this package uses.
type connection interface {
	Reader(ctx context.Context) (*clusters.Reader, error)
	Done() <-chan struct{}
}

// Cache holds verdicts about users on all clusters.
type Cache struct {
	clock   clock.PassiveClock
	entries *entries
	// follow watches the RBAC objects of a connection until the context ends, and reports changes to the scope.
	follow func(context.Context, connection, *scope)
	// onChange is called when verdicts about a cluster become invalid. It may be nil.
	onChange func(*clusters.Connection)

	mu      sync.Mutex
	stopped bool
	scopes  map[connection]*scope
	flights map[flightKey]*flight
	running sync.WaitGroup
}

// New returns an empty cache. Stop must be called to release it.
func New() *Cache { return newCache(clock.RealClock{}, maxEntries, watchRBAC) }

func newCache(c clock.PassiveClock, size int, follow func(context.Context, connection, *scope)) *Cache {
	return &Cache{
		clock: c, entries: newEntries(size), follow: follow,
		scopes: map[connection]*scope{}, flights: map[flightKey]*flight{},
	}
}

// Stop ends all watches. Later verdicts are not stored.
func (c *Cache) Stop() {
	c.mu.Lock()
	c.stopped = true
	for cluster, s := range c.scopes {
		delete(c.scopes, cluster)
		s.stop()
	}
	c.mu.Unlock()
	c.running.Wait()
}

// Roles returns the roles that bindings on the host grant the caller in the namespace of a read or, if the read has no
// namespace, in the whole cluster.
type Roles func(context.Context) ([]kubevisionv1alpha1.RoleReference, error)

// AllowedStale returns true if the cluster allows the caller's read. The result comes from an access review with
// exactly the identity of the caller's requests. It is reused while it is recent and no RBAC object of the cluster has
// changed. An error is a denial with the code 50200. If the impersonating account does not have the right to
// impersonate the caller yet, the result is false.
//
// The read must return objects that are no newer than asOf. While the cluster cannot be reached, for at most maxOutage,
// AllowedStale also returns true to callers who were allowed the read within lastAge before the outage, because they
// could read the same objects then. The host must grant the caller exactly the same roles as before that review, and at
// least one. KubeVision cannot know which role allowed the read, because the rules of the roles are on the cluster.
func (c *Cache) AllowedStale(
	ctx context.Context, caller *clusters.Client, attributes authorizationv1.ResourceAttributes, asOf time.Time,
	roles Roles,
) (bool, error) {
	wasAllowed := func() (bool, error) {
		now, err := granted(ctx, roles)
		//nolint:contextcheck // the watch of a scope outlives the request
		return c.wasAllowed(caller.Connection(), newQuestion(caller.Identity(), &attributes), now, asOf), err
	}
	reviewContext, cancel := c.reviewContext(ctx, caller.Connection(), wasAllowed)
	defer cancel()
	allowed, err := c.ask(reviewContext, caller, attributes, roles)
	if err == nil {
		return allowed, nil
	}
	if isOutage(err) || errors.Is(context.Cause(reviewContext), clusters.ErrImpatient) {
		allowed, rolesErr := wasAllowed()
		if allowed {
			return true, nil
		}
		err = errors.Join(err, rolesErr)
	}
	return false, authorization.NewReviewFailed(err)
}

// reviewContext returns the context of an access review. During an outage, it ends after outageReviewTimeout if the
// last verdict has allowed the read. This does not count as a failure of the cluster.
func (c *Cache) reviewContext(
	ctx context.Context, cluster connection, wasAllowed func() (bool, error),
) (context.Context, context.CancelFunc) {
	if _, _, ok := c.scopeOf(cluster).outage(); ok {
		if allowed, _ := wasAllowed(); allowed {
			return context.WithTimeoutCause(ctx, outageReviewTimeout, clusters.ErrImpatient)
		}
	}
	return ctx, func() {}
}

// isOutage returns true if the cluster did not respond.
func isOutage(err error) bool {
	var status apierrors.APIStatus
	return errors.Is(err, clusters.ErrNotConnected) && !errors.As(err, &status)
}

// ask returns a valid verdict, or requests a review.
func (c *Cache) ask(
	ctx context.Context, caller *clusters.Client, attributes authorizationv1.ResourceAttributes, roles Roles,
) (bool, error) {
	review := func(ctx context.Context) (bool, grants, error) {
		before, _ := granted(ctx, roles) // Without roles, the verdict is not used for stale reads.
		allowed, err := caller.Allowed(ctx, attributes)
		return allowed, before, err
	}
	q := newQuestion(caller.Identity(), &attributes)
	//nolint:contextcheck // the watch of a scope outlives the request
	allowed, err := c.verdict(ctx, c.scopeOf(caller.Connection()), q, caller.User(), review)
	if apierrors.IsForbidden(err) {
		return false, nil
	}
	return allowed, err
}

// reviewFunc requests a review of a cluster. It returns the roles that the host granted before.
type reviewFunc func(context.Context) (allowed bool, roles grants, err error)

// verdict returns a valid verdict, or requests a review.
func (c *Cache) verdict(
	ctx context.Context, s *scope, q question, holder string, review reviewFunc,
) (bool, error) {
	generation, healthy := s.use(c.clock.Now())
	if !healthy {
		ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
		defer cancel()
		allowed, _, err := review(ctx)
		return allowed, err
	}
	allowed, renew, ok := c.entries.get(entryKey{s, q}, generation, c.clock.Now())
	if ok && (!renew || c.isBusy()) {
		return allowed, nil
	}
	f := c.join(ctx, flightKey{s, q, generation}, func(ctx context.Context) (bool, error) {
		asked := c.clock.Now()
		allowed, roles, err := review(ctx)
		if err == nil {
			s.keep(generation, asked, func(until time.Time) {
				c.entries.put(entryKey{s, q}, holder, verdict{
					allowed: allowed, roles: roles, generation: generation, asked: asked, until: until,
				})
			})
		}
		return allowed, err
	})
	if ok { // The flight never has fewer than one waiting request, so it is not cancelled.
		return allowed, nil
	}
	return c.await(ctx, f)
}

// wasAllowed returns true if the last verdict before the current outage allowed the read, with the roles that the host
// grants now.
func (c *Cache) wasAllowed(cluster connection, q question, now grants, asOf time.Time) bool {
	s := c.scopeOf(cluster)
	began, generation, ok := s.outage()
	if !ok || c.clock.Since(began) > maxOutage || asOf.After(began.Add(maxAge)) {
		return false
	}
	last, ok := c.entries.last(entryKey{s, q})
	return ok && last.allowed && last.generation == generation && began.Sub(last.asked) <= lastAge &&
		now != grants{} && last.roles == now
}

// isBusy returns true if maxRenewals reviews are in progress.
func (c *Cache) isBusy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.flights) >= maxRenewals
}

type flightKey struct {
	scope      *scope
	question   question
	generation uint64
}

// flight is a review that several requests share. It is cancelled when no request waits for it.
type flight struct {
	key     flightKey
	waiting int
	cancel  context.CancelFunc
	done    chan struct{}
	allowed bool
	err     error
}

// join joins a review that began after the last change of RBAC objects, or starts one.
func (c *Cache) join(ctx context.Context, key flightKey, review func(context.Context) (bool, error)) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[key]; f != nil {
		f.waiting++
		return f
	}
	// The review may outlive the request that started it, so it must not use the memory account of that request.
	ctx, cancel := context.WithTimeout(budget.WithAccount(context.WithoutCancel(ctx), nil), reviewTimeout)
	f := &flight{key: key, waiting: 1, cancel: cancel, done: make(chan struct{})}
	c.flights[key] = f
	go func() {
		defer cancel()
		f.allowed, f.err = review(ctx)
		c.land(f)
		close(f.done)
	}()
	return f
}

// land removes the flight, so that no further request joins it.
func (c *Cache) land(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
}

func (c *Cache) await(ctx context.Context, f *flight) (bool, error) {
	select {
	case <-f.done:
		return f.allowed, f.err
	case <-ctx.Done():
	}
	c.mu.Lock()
	f.waiting--
	last := f.waiting == 0
	if last && c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
	c.mu.Unlock()
	if last {
		f.cancel()
	}
	return false, fmt.Errorf("waiting for an access review: %w", ctx.Err())
}

// scopeOf returns the scope of a connection, and starts the watch of its RBAC objects if necessary.
func (c *Cache) scopeOf(cluster connection) *scope {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.scopes[cluster]; s != nil {
		return s
	}
	if c.stopped {
		return newScope(c.clock)
	}
	c.makeRoom()
	s := newScope(c.clock)
	s.notify = func() { c.changed(cluster) }
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = func() {
		s.end() // must precede the end of the watch, so that no change is missed
		cancel()
	}
	c.scopes[cluster] = s
	c.running.Go(func() {
		defer c.forget(cluster, s)
		defer s.stop()
		c.running.Go(func() { s.endWhenIdle(ctx, cluster) })
		c.follow(ctx, cluster, s)
	})
	return s
}

// makeRoom ends the least recently used watch. The caller must hold the lock.
func (c *Cache) makeRoom() {
	if len(c.scopes) < maxWatched {
		return
	}
	var oldest connection
	for cluster, s := range c.scopes {
		if oldest == nil || s.lastUse().Before(c.scopes[oldest].lastUse()) {
			oldest = cluster
		}
	}
	c.scopes[oldest].stop()
	delete(c.scopes, oldest)
}

func (c *Cache) forget(cluster connection, s *scope) {
	s.end()
	c.entries.forget(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.scopes[cluster] == s {
		delete(c.scopes, cluster)
	}
}
