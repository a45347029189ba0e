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
	discoveryAge = 2 * time.Second
	// plainDiscoveryAge is the age after which the cached list of a cluster's resources is read again, if the cluster
	// sends no entity tags (HTTP ETag). Reading the list may take some hundred requests.
	plainDiscoveryAge = time.Minute
	// maxRecentAge is the age after which the cached list of a cluster's resources is read again, if the list lacks a
	// requested resource. The requested resource may be new.
	maxRecentAge = discoveryAge
	// checkPatience is the time for which a request waits for a newer list of the cluster's resources. After this time,
	// the request uses the old list.
	checkPatience = time.Second
	// renewInterval is the time between two background checks for new resources of a cluster. It is shorter than
	// discoveryAge, so that requests need not wait for a check.
	renewInterval = 1500 * time.Millisecond
	// useTimeout is the time after which an unused resource list of a cluster is no longer checked in the background.
	useTimeout       = time.Minute
	checkPauseFactor = 10

	// maxResources bounds the number of resources in a catalog. If a cluster serves more, discovery fails.
	maxResources = 20_000
	// decodedDiscovery is the estimated memory for each byte of a discovery document: 6 bytes, or 24 quarters of a
	// byte. It includes the decoded document and the catalog.
	decodedDiscovery budget.Quarters = 24
)

// resourceMapper discovers the resources of one cluster, caches them in a catalog, and finds resources by name.
type resourceMapper struct {
	client discovery.DiscoveryInterfaceWithContext
	tags   *entityTags
	// account returns the budget.Account to which the memory of a discovery is charged.
	account func() *budget.Account
	// catalogBudget bounds the memory of the cached catalogs of all member clusters together. It is nil for the host
	// cluster.
	catalogBudget *catalogBudget
	flight        singleflight.Group

	mu     sync.RWMutex
	closed bool
	// known is the catalog of the last successful discovery, or nil.
	known *catalog
	// lastBegan is the time at which the last discovery began.
	lastBegan time.Time
	// lastDuration is the duration of the last discovery. It is zero if the last discovery has failed.
	lastDuration time.Duration
	// lastErr is the error of the last discovery, or nil.
	lastErr error
	// used is the time of the last request that needed the catalog.
	used time.Time
	// checking is true while a background goroutine regularly checks the cluster for new resources.
	checking bool
}

func newResourceMapper(
	client discovery.DiscoveryInterfaceWithContext, tags *entityTags, account func() *budget.Account,
) *resourceMapper {
	return &resourceMapper{client: client, tags: tags, account: account}
}

// find looks up a resource by its name, for example deployments.apps. If the cached catalog does not contain the
// resource, or isExpected returns false for the resource, find looks it up in a recent catalog. find returns false if
// this catalog does not contain the resource. It returns an error if the API server of the group did not respond,
// because the resource may exist. isExpected may be nil.
func (r *resourceMapper) find(
	ctx context.Context, name string, isExpected func(*Resource) bool,
) (Resource, bool, error) {
	known, err := r.current(ctx)
	if err != nil {
		return Resource{}, false, err
	}
	found, ok := known.lookup(name)
	if !ok || (isExpected != nil && !isExpected(&found)) { // the catalog may be outdated
		if known, err = r.recent(ctx); err != nil {
			return Resource{}, false, err
		}
		found, ok = known.lookup(name)
	}
	if !ok && known.mayExist(name) {
		return Resource{}, false, groupUnavailableError(name)
	}
	return found, ok, nil
}

// served looks up a resource by its name, for example deployments.apps, in the cached list of the cluster's resources.
// It returns false if the name is missing there. A missing name does not cause another discovery.
func (r *resourceMapper) served(ctx context.Context, name string) (Resource, bool, error) {
	known, err := r.current(ctx)
	if err != nil {
		return Resource{}, false, err
	}
	found, ok := known.lookup(name)
	if !ok && known.mayExist(name) {
		return Resource{}, false, groupUnavailableError(name)
	}
	return found, ok, nil
}

// current returns the catalog of the cluster's resources. It waits for a discovery if there is no catalog. If the
// catalog is old, current waits at most checkPatience for a newer one, and otherwise returns the old one.
func (r *resourceMapper) current(ctx context.Context) (*catalog, error) {
	r.refreshInBackground() //nolint:contextcheck // it outlives the request
	known, age := r.state()
	switch {
	case known == nil:
		return r.discover(ctx, time.Time{})
	case age < r.maxAge():
		return known, nil
	}
	waiting, cancel := context.WithTimeoutCause(ctx, checkPatience, ErrImpatient)
	defer cancel()
	renewed, err := r.discover(waiting, time.Time{})
	if err != nil { // the old catalog is better than an error
		klog.FromContext(ctx).V(4).Info("The list of a cluster's resources is old", "age", age, "err", err)
		return known, nil
	}
	return renewed, nil
}

// maxAge returns the age after which requests check the cached catalog of resources for changes. The age depends on the
// cluster and on the duration of the last check.
func (r *resourceMapper) maxAge() time.Duration {
	if !r.tags.complete() {
		return plainDiscoveryAge
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	// The age grows after a slow check. A check is slow if the resources have changed, because it then reads all of
	// them.
	return min(max(discoveryAge, checkPauseFactor*r.lastDuration), plainDiscoveryAge)
}

// recent returns a catalog of the cluster's resources. If the cached catalog is older than maxRecentAge, recent waits
// for a new discovery.
func (r *resourceMapper) recent(ctx context.Context) (*catalog, error) {
	r.mu.RLock()
	known, began, failure := r.known, r.lastBegan, r.lastErr
	r.mu.RUnlock()
	oldest := time.Now().Add(-maxRecentAge)
	if began.Before(oldest) || (known == nil && failure == nil) {
		return r.discover(ctx, oldest)
	}
	return known, failure // A recent discovery is not repeated, even if it has failed.
}

// refresh waits for a discovery that begins after the call of refresh.
func (r *resourceMapper) refresh(ctx context.Context) error {
	_, err := r.discover(ctx, time.Now())
	return err
}

// state returns the cached catalog of resources, and the time since the last discovery began. If no catalog is cached,
// state returns nil, and the time has no meaning.
func (r *resourceMapper) state() (*catalog, time.Duration) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.known, time.Since(r.lastBegan)
}

func (r *resourceMapper) close() {
	r.mu.Lock()
	r.closed = true // A discovery in progress drops its catalog.
	r.mu.Unlock()
	r.forget()
	r.catalogBudget.release(r)
}

// forget drops the catalog. The next request discovers the cluster again.
func (r *resourceMapper) forget() { r.record(time.Time{}, nil, nil) }

func (r *resourceMapper) record(began time.Time, known *catalog, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lastBegan, r.lastErr, r.lastDuration = began, err, 0; err == nil { // after an error, the old catalog remains
		r.known = known
	}
	if known != nil {
		r.lastDuration = time.Since(began)
	}
}

func (r *resourceMapper) isClosed() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.closed
}

// discoveryResult is the catalog of a discovery, and the time at which the discovery began.
type discoveryResult struct {
	began time.Time
	known *catalog
}

// discover returns the catalog of a discovery that began at notBefore or later. Concurrent callers share one discovery.
// If ctx ends first, discover returns an error, and the discovery continues for other callers.
func (r *resourceMapper) discover(ctx context.Context, notBefore time.Time) (*catalog, error) {
	for {
		done := r.flight.DoChan("", func() (any, error) { return r.runDiscovery(context.WithoutCancel(ctx)) })
		select {
		case result := <-done:
			if seen, ok := result.Val.(discoveryResult); !ok || !seen.began.Before(notBefore) {
				return seen.known, result.Err
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the cluster's resources: %w",
				errors.Join(ctx.Err(), context.Cause(ctx)))
		}
	}
}

func (r *resourceMapper) runDiscovery(ctx context.Context) (discoveryResult, error) {
	seen := discoveryResult{began: time.Now()}
	account := r.account() // a separate account, because the discovery may outlive the request that started it
	defer account.Close()
	err := fanout.Safely(ctx, func() (err error) {
		seen.known, err = r.readCatalog(budget.WithAccount(ctx, account))
		return err
	})
	r.record(seen.began, seen.known, err)
	if err != nil {
		return seen, err
	}
	r.catalogBudget.keep(r, seen.known.size)
	if r.isClosed() { // closed during the discovery
		r.forget()
		r.catalogBudget.release(r)
	}
	return seen, nil
}

// readCatalog reads the catalog from the cluster. If the entity tags show that no discovery document has changed, it
// returns the current catalog.
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
	if r.catalogBudget != nil && found.size > maxDiscovered {
		return nil, fmt.Errorf("discovering the cluster's resources: %w", ErrTooLarge)
	}
	r.tags.commit()
	return found, nil
}

func discoveryError(ctx context.Context, err error) error {
	err = response.Error(ctx, err)
	var status apierrors.APIStatus
	switch {
	case !errors.As(err, &status):
	case !response.IsTyped(err), apierrors.IsNotFound(err): // the server is not an API server
		klog.FromContext(ctx).V(2).Info("Failed to read the API discovery of a cluster", "err", err)
		err = ErrNoAPIServer
	// The caller would take this Status, for example 403, for the response to its own request.
	case status.Status().Code < http.StatusInternalServerError:
		err = unavailable(status.Status().Message)
	}
	return fmt.Errorf("discovering the cluster's resources: %w", err)
}

// unavailable returns a StatusError with the code 503 and the message.
func unavailable(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusServiceUnavailable,
		Reason: metav1.StatusReasonServiceUnavailable, Message: message,
	}}
}

// refreshInBackground starts a goroutine that regularly checks whether the resources of the cluster have changed. It
// starts none if such a goroutine is already running. It also starts none if the cluster sends no entity tags (HTTP
// ETag), because each check would then read the whole catalog.
func (r *resourceMapper) refreshInBackground() {
	if !r.tags.complete() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used = time.Now()
	if !r.checking {
		r.checking = true
		go r.checkRegularly()
	}
}

func (r *resourceMapper) checkRegularly() {
	ctx := context.Background() // independent of the request that started it
	pause := renewInterval
	for {
		time.Sleep(pause)
		r.mu.Lock()
		if time.Since(r.used) > useTimeout || r.known == nil || !r.tags.complete() {
			r.checking = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		began := time.Now()
		if _, err := r.discover(ctx, time.Time{}); err != nil {
			klog.FromContext(ctx).V(4).Info("The list of a cluster's resources could not be checked", "err", err)
		}
		// A slow check is followed by a longer pause, to limit the load.
		pause = max(renewInterval, checkPauseFactor*time.Since(began))
	}
}
