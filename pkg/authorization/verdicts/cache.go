// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package verdicts caches the results of access reviews ("verdicts"), and watches the RBAC objects of the clusters. A
// verdict expires after some seconds. It becomes invalid earlier if an RBAC object of the cluster changes. Callers must
// treat an error as a denial.
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
	// maxAge is the time for which a verdict is valid. It is short, because a cluster may have authorizers other than
	// RBAC, whose changes cannot be watched.
	maxAge = 10 * time.Second
	// renewalAge is the age at which the renewal of a verdict (a cached access review) is due. The next use of the
	// verdict then starts a new review in the background, so that users do not wait each time the verdict expires.
	renewalAge = maxAge / 2
	// renewalLimit limits the renewal of cached results in the background. A renewal starts only while fewer than
	// renewalLimit access reviews are in progress.
	renewalLimit = 256
	// settleTime is the time that API servers need to load a changed RBAC object. In this time, they may still
	// authorize requests with the old object.
	settleTime = 500 * time.Millisecond
	// unsettledAge is the time for which the result of an access review is valid if an RBAC object has changed less
	// than settleTime before the review. It also applies if RBAC objects are not watched.
	unsettledAge = 250 * time.Millisecond
	// maxOutage is the time for which AllowedStale uses old results of access reviews after a cluster has become
	// unreachable.
	maxOutage      = 5 * time.Minute
	maxAgeAtOutage = time.Minute
	// outageReviewTimeout bounds the duration of an access review on a cluster that cannot be reached. It applies only
	// if an older result can be used instead of the review.
	outageReviewTimeout = time.Second
	// reviewTimeout bounds an access review. The context of a request cannot bound a review, because several requests
	// may wait for the same review.
	reviewTimeout = 10 * time.Second
	// idleTime is the time after which the RBAC objects of a cluster are no longer watched, if no caller asks the Cache
	// about this cluster.
	idleTime = 5 * time.Minute
	// maxWatched bounds the number of clusters whose RBAC objects are watched. The watches of a further cluster replace
	// those of the least recently used cluster. Verdicts of a cluster without watches are not cached.
	maxWatched = 256
)

// connection contains the methods of clusters.Connection that this package uses.
type connection interface {
	Reader(ctx context.Context) (*clusters.Reader, error)
	Done() <-chan struct{}
}

// Cache caches verdicts of all users and clusters.
type Cache struct {
	clock   clock.PassiveClock
	entries *entries
	// follow watches the RBAC objects of a cluster until the context ends. It calls the methods of the scope when a
	// watch starts or ends, and when an object changes.
	follow func(context.Context, connection, *scope)
	// onChange is called when verdicts of a cluster become invalid. It may be nil.
	onChange func(*clusters.Connection)

	mu      sync.Mutex
	stopped bool
	scopes  map[connection]*scope
	flights map[flightKey]*flight
	running sync.WaitGroup
}

// New returns an empty Cache. The caller must call Stop when the Cache is no longer needed.
func New() *Cache { return newCache(clock.RealClock{}, maxEntries, watchRBAC) }

func newCache(c clock.PassiveClock, size int, follow func(context.Context, connection, *scope)) *Cache {
	return &Cache{
		clock: c, entries: newEntries(size), follow: follow,
		scopes: map[connection]*scope{}, flights: map[flightKey]*flight{},
	}
}

// Stop ends all watches. Verdicts are not cached afterwards.
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

// Roles returns the roles that KubeVisionRoleBindings grant to the caller of a request. Each request has its own Roles
// function. For a request in a namespace, the function returns the roles in this namespace. For other requests, it
// returns the roles for the whole cluster.
type Roles func(context.Context) ([]kubevisionv1alpha1.RoleReference, error)

// AllowedStale returns true if the cluster allows the caller to make the read that the attributes describe. While the
// cluster is unreachable, AllowedStale may use the result of an earlier access review. latestChange must not be earlier
// than the last change of the objects to be read. Errors have the code 50200.
func (c *Cache) AllowedStale(
	ctx context.Context, caller *clusters.Client, attributes authorizationv1.ResourceAttributes,
	latestChange time.Time, roles Roles,
) (bool, error) {
	wasAllowed := func() (bool, error) {
		currentRoles, err := granted(ctx, roles)
		q := newQuestion(caller.Identity(), &attributes)
		//nolint:contextcheck // the watch of a scope outlives the request
		return c.wasAllowed(caller.Connection(), q, currentRoles, latestChange), err
	}
	reviewContext, cancel := c.reviewContext(ctx, caller.Connection(), wasAllowed)
	defer cancel()
	allowed, err := c.isAllowed(reviewContext, caller, attributes, roles)
	if err == nil {
		return allowed, nil
	}
	// While the cluster is unreachable, the result of an earlier access review is sufficient.
	if isOutage(err) || errors.Is(context.Cause(reviewContext), clusters.ErrImpatient) {
		allowed, rolesErr := wasAllowed()
		if allowed {
			return true, nil
		}
		err = errors.Join(err, rolesErr)
	}
	return false, authorization.NewReviewFailed(err)
}

func (c *Cache) reviewContext(
	ctx context.Context, cluster connection, wasAllowed func() (bool, error),
) (context.Context, context.CancelFunc) {
	if _, _, ok := c.scopeOf(cluster).outage(); ok {
		if allowed, _ := wasAllowed(); allowed {
			// An earlier result can replace the review. Therefore, the request does not wait long for the cluster.
			// Because of the cause ErrImpatient, the timeout does not open the circuit breaker of the cluster.
			return context.WithTimeoutCause(ctx, outageReviewTimeout, clusters.ErrImpatient)
		}
	}
	return ctx, func() {}
}

// isOutage returns true if the error means that the cluster did not respond.
func isOutage(err error) bool {
	var status apierrors.APIStatus
	return errors.Is(err, clusters.ErrNotConnected) && !errors.As(err, &status)
}

func (c *Cache) isAllowed(
	ctx context.Context, caller *clusters.Client, attributes authorizationv1.ResourceAttributes, roles Roles,
) (bool, error) {
	review := func(ctx context.Context) (bool, rolesHash, error) {
		// A hash of the roles is stored with the result. Without roles, the result is not used during an outage. The
		// roles are read before the review, because the user may lose a role during the review.
		before, _ := granted(ctx, roles)
		allowed, err := caller.Allowed(ctx, attributes)
		return allowed, before, err
	}
	q := newQuestion(caller.Identity(), &attributes)
	//nolint:contextcheck // the watch of a scope outlives the request
	allowed, err := c.verdict(ctx, c.scopeOf(caller.Connection()), q, caller.User(), review)
	if apierrors.IsForbidden(err) { // The controllers have not granted the right to impersonate the caller yet.
		return false, nil
	}
	return allowed, err
}

// reviewFunc sends an access review. It must read the roles of the user before it sends the review.
type reviewFunc func(context.Context) (allowed bool, roles rolesHash, err error)

// verdict returns the result of the access review that q identifies. It uses a cached result that is still valid, calls
// review, or waits for a review that a concurrent request has started.
func (c *Cache) verdict(
	ctx context.Context, s *scope, q question, userName string, review reviewFunc,
) (bool, error) {
	generation, healthy := s.recordUse(c.clock.Now())
	if !healthy { // Without watches of all RBAC resources, the result is neither cached nor shared.
		ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
		defer cancel()
		allowed, _, err := review(ctx)
		return allowed, err
	}
	allowed, renew, ok := c.entries.get(entryKey{s, q}, generation, c.clock.Now())
	if ok && renew && c.isBusy() {
		c.entries.postponeRenewal(entryKey{s, q})
		renew = false
	}
	if ok && !renew {
		return allowed, nil
	}
	f := c.join(ctx, flightKey{s, q, generation}, func(ctx context.Context) (bool, error) {
		asked := c.clock.Now()
		allowed, roles, err := review(ctx)
		if err == nil {
			s.storeIfCurrent(generation, asked, func(until time.Time) {
				c.entries.put(entryKey{s, q}, userName, verdict{
					allowed: allowed, roles: roles, generation: generation, asked: asked, until: until,
				})
			})
		}
		return allowed, err
	})
	if ok { // This request still counts as waiting for the flight. Therefore, await never cancels the flight.
		return allowed, nil
	}
	return c.await(ctx, f)
}

func (c *Cache) wasAllowed(cluster connection, q question, currentRoles rolesHash, latestChange time.Time) bool {
	s := c.scopeOf(cluster)
	began, generation, ok := s.outage()
	// The limit of latestChange ensures that the read does not reveal objects that were created or changed later during
	// the outage, because the user may have lost the right since then.
	if !ok || c.clock.Since(began) > maxOutage || latestChange.After(began.Add(maxAge)) {
		return false
	}
	last, ok := c.entries.last(entryKey{s, q})
	// No RBAC object may have changed between the review and the outage. The user must have the same roles as at the
	// time of the review. All roles are compared, because KubeVision does not know which role allowed the read.
	return ok && last.allowed && last.generation == generation && began.Sub(last.asked) <= maxAgeAtOutage &&
		currentRoles != rolesHash{} && last.roles == currentRoles
}

// isBusy returns true if at least renewalLimit reviews are in progress.
func (c *Cache) isBusy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.flights) >= renewalLimit
}

type flightKey struct {
	scope      *scope
	question   question
	generation uint64
}

// flight is a review in progress that several requests share. It is cancelled when no request waits for it any more.
type flight struct {
	key     flightKey
	waiting int
	cancel  context.CancelFunc
	done    chan struct{}
	allowed bool
	err     error
}

// join returns the access review in progress for the key. If there is none, join calls review in a new goroutine.
func (c *Cache) join(ctx context.Context, key flightKey, review func(context.Context) (bool, error)) *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A change of an RBAC object changes the generation in the key. Therefore, no request shares a review that began
	// before the change.
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
		c.removeFlight(f)
		close(f.done)
	}()
	return f
}

func (c *Cache) removeFlight(f *flight) {
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

// scopeOf returns the scope of a connection. If the RBAC objects of the cluster are not watched, scopeOf starts
// goroutines that watch them, except after Stop.
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

// makeRoom ends the watches of the least recently used cluster if the maximum number of clusters is watched. The caller
// must hold the lock.
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
