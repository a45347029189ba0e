// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/klog/v2"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
	"github.com/kubevision-io/kubevision/pkg/fanout"
)

const (
	// discoveryAge is how old the list of a cluster's resources may be, where entity tags make it cheap to check.
	discoveryAge = 2 * time.Second
	// plainDiscoveryAge is the same where the whole list must be read again, by some hundred requests.
	plainDiscoveryAge = time.Minute
	// absenceAge is how old the list may be for an answer that something is not served, in any case.
	absenceAge = discoveryAge
	// checkPatience is how long a request waits for a newer list while it can do with the old one.
	checkPatience = time.Second
	// renewInterval is the time between two checks while a cluster is in use, so that requests find a list that is
	// young enough. A cluster is in use until useTimeout after the last request.
	renewInterval = 1500 * time.Millisecond
	useTimeout    = time.Minute
	// renewShare bounds the part of the time that checks take.
	renewShare = 10

	// maxKinds is the number of kinds from which on a cluster is not believed.
	maxKinds = 20_000
	// decodedDiscovery is how many quarters of a byte each byte of a discovery document takes, with what is made of it.
	decodedDiscovery budget.Quarters = 24
)

// resourceMapper knows what a cluster serves, and finds it by the names that people use.
type resourceMapper struct {
	client discovery.DiscoveryInterfaceWithContext
	tags   *entityTags
	// account is what a look at the cluster may hold.
	account func() *budget.Account
	// kept bounds what is kept of all members; nil for the host.
	kept   *catalogBudget
	flight singleflight.Group

	mu     sync.RWMutex
	closed bool
	// known is what the cluster served when it answered last, nil where it never did.
	known *catalog
	// looked is when the last look at the cluster began, and failure what it ended with.
	looked  time.Time
	failure error
	// used is when somebody asked last; renewing says that something keeps the list young.
	used     time.Time
	renewing bool
}

func newResourceMapper(
	client discovery.DiscoveryInterfaceWithContext, tags *entityTags, account func() *budget.Account,
) *resourceMapper {
	return &resourceMapper{client: client, tags: tags, account: account}
}

// find resolves plural, plural.group or plural.version.group to a resource that fits; any does where fits is nil. Where
// what is known does not fit, the cluster is asked anew, unless that was a moment ago: the resource that is returned
// then is as it is. The result is false where the cluster serves nothing of that name.
func (r *resourceMapper) find(ctx context.Context, name string, fits func(*Resource) bool) (Resource, bool, error) {
	known, err := r.current(ctx)
	if err != nil {
		return Resource{}, false, err
	}
	found, ok := known.lookup(name)
	if !ok || (fits != nil && !fits(&found)) {
		if known, err = r.confirmed(ctx); err != nil {
			return Resource{}, false, err
		}
		found, ok = known.lookup(name)
	}
	if !ok && known.isGroupUnavailable(name) {
		return Resource{}, false, groupUnavailableError(name)
	}
	return found, ok, nil
}

// served is find for what is asked for again and again, whether or not it is there.
func (r *resourceMapper) served(ctx context.Context, name string) (Resource, bool, error) {
	known, err := r.current(ctx)
	if err != nil {
		return Resource{}, false, err
	}
	found, ok := known.lookup(name)
	if !ok && known.isGroupUnavailable(name) {
		return Resource{}, false, groupUnavailableError(name)
	}
	return found, ok, nil
}

// current returns what the cluster serves. An old list is better than none.
func (r *resourceMapper) current(ctx context.Context) (*catalog, error) {
	r.refreshInBackground() //nolint:contextcheck // it outlives the request
	known, age := r.state()
	limit := plainDiscoveryAge
	if r.tags.complete() {
		limit = discoveryAge
	}
	switch {
	case known == nil:
		return r.discover(ctx, time.Time{})
	case age < limit:
		return known, nil
	}
	waiting, cancel := context.WithTimeoutCause(ctx, checkPatience, ErrImpatient)
	defer cancel()
	renewed, err := r.discover(waiting, time.Time{})
	if err != nil {
		klog.FromContext(ctx).V(4).Info("The list of a cluster's resources is old", "age", age, "err", err)
		return known, nil
	}
	return renewed, nil
}

// confirmed is current for those who would say that something is not served. It looks at the cluster unless the last
// look has begun a moment ago.
func (r *resourceMapper) confirmed(ctx context.Context) (*catalog, error) {
	r.mu.RLock()
	known, looked, failure := r.known, r.looked, r.failure
	r.mu.RUnlock()
	oldest := time.Now().Add(-absenceAge)
	if looked.Before(oldest) || (known == nil && failure == nil) {
		return r.discover(ctx, oldest)
	}
	return known, failure
}

// refresh looks at the cluster now.
func (r *resourceMapper) refresh(ctx context.Context) error {
	_, err := r.discover(ctx, time.Now())
	return err
}

// state returns what is known, and for how long it has not been checked.
func (r *resourceMapper) state() (*catalog, time.Duration) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.known, time.Since(r.looked)
}

// close forgets what the cluster serves, for good.
func (r *resourceMapper) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.forget()
	r.kept.release(r)
}

// forget forgets what the cluster serves until somebody asks.
func (r *resourceMapper) forget() { r.record(time.Time{}, nil, nil) }

// record keeps what came of a look.
func (r *resourceMapper) record(began time.Time, known *catalog, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.looked, r.failure = began, err; err == nil {
		r.known = known
	}
}

func (r *resourceMapper) isClosed() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.closed
}

// discoveryResult is what came of a look at the cluster.
type discoveryResult struct {
	began time.Time
	known *catalog
}

// discover waits for the end of a look at the cluster that has not begun before some time. One serves all who wait.
func (r *resourceMapper) discover(ctx context.Context, notBefore time.Time) (*catalog, error) {
	for {
		done := r.flight.DoChan("", func() (any, error) { return r.runDiscovery(context.WithoutCancel(ctx)) })
		select {
		case result := <-done:
			if seen, ok := result.Val.(discoveryResult); !ok || !seen.began.Before(notBefore) {
				return seen.known, result.Err
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the cluster's resources: %w", errors.Join(ctx.Err(), context.Cause(ctx)))
		}
	}
}

func (r *resourceMapper) runDiscovery(ctx context.Context) (discoveryResult, error) {
	seen := discoveryResult{began: time.Now()}
	account := r.account() // not that of whoever asked first
	defer account.Close()
	err := fanout.Safely(ctx, func() (err error) {
		seen.known, err = r.readCatalog(budget.WithAccount(ctx, account))
		return err
	})
	r.record(seen.began, seen.known, err)
	if err != nil {
		return seen, err
	}
	r.kept.keep(r, seen.known.size)
	if r.isClosed() { // meanwhile
		r.forget()
		r.kept.release(r)
	}
	return seen, nil
}

// readCatalog asks the cluster: whether anything is different first, where that is possible.
func (r *resourceMapper) readCatalog(ctx context.Context) (*catalog, error) {
	known, _ := r.state()
	if known != nil {
		same, err := r.tags.unchanged(ctx, r.client.RESTClient())
		if err != nil {
			return nil, discoveryError(ctx, err)
		}
		if same {
			return known, nil
		}
	}
	r.tags.begin()
	groups, lists, err := r.client.ServerGroupsAndResourcesWithContext(ctx)
	if err != nil && (!discovery.IsGroupDiscoveryFailedError(err) || len(lists) == 0) {
		return nil, discoveryError(ctx, err)
	}
	found, err := newCatalog(groups, lists, failedVersions(err), known)
	if err != nil {
		return nil, fmt.Errorf("discovering the cluster's resources: %w", err)
	}
	if r.kept != nil && found.size > maxDiscovered {
		return nil, fmt.Errorf("discovering the cluster's resources: %w", ErrTooLarge)
	}
	r.tags.commit()
	return found, nil
}

// discoveryError returns the error of a discovery. That it is forbidden, or not found, says nothing about what was
// asked for.
func discoveryError(ctx context.Context, err error) error {
	err = response.Error(ctx, err)
	var status apierrors.APIStatus
	switch {
	case !errors.As(err, &status):
	case !response.IsTyped(err), apierrors.IsNotFound(err):
		klog.FromContext(ctx).V(2).Info("A cluster cannot be discovered", "err", err)
		err = ErrNoAPIServer
	case status.Status().Code < http.StatusInternalServerError:
		err = unavailable(status.Status().Message)
	}
	return fmt.Errorf("discovering the cluster's resources: %w", err)
}

// unavailable returns an error that an API server could answer with.
func unavailable(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusServiceUnavailable,
		Reason: metav1.StatusReasonServiceUnavailable, Message: message,
	}}
}

// refreshInBackground checks the list again and again while the cluster is in use, so that no request waits for that.
// It does nothing where the whole list would have to be read.
func (r *resourceMapper) refreshInBackground() {
	if !r.tags.complete() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used = time.Now()
	if !r.renewing {
		r.renewing = true
		go r.renew()
	}
}

func (r *resourceMapper) renew() {
	ctx := context.Background() // nothing of the request that came first
	pause := renewInterval
	for {
		time.Sleep(pause)
		r.mu.Lock()
		if time.Since(r.used) > useTimeout || r.known == nil || !r.tags.complete() {
			r.renewing = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		began := time.Now()
		if _, err := r.discover(ctx, time.Time{}); err != nil {
			klog.FromContext(ctx).V(4).Info("The list of a cluster's resources could not be checked", "err", err)
		}
		// A cluster may answer slowly, or with something else each time.
		pause = max(renewInterval, renewShare*time.Since(began))
	}
}
