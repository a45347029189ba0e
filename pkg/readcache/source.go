// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/kubevision-io/kubevision/pkg/clusters/pacing"
)

// source lists and watches one resource of one cluster for a Reflector.
type source struct {
	cluster  Cluster
	resource schema.GroupVersionResource
	kind     schema.GroupVersionKind
	// beforeList is called before each list. It subtracts the objects of an earlier, incomplete list from the counted
	// memory.
	beforeList func()
	// keep is called before an object is stored, and returns the object to store. If an equal object is already stored,
	// keep returns the stored object. The parameter fromList is true for an object of a list, and false for an object
	// of a watch event.
	keep func(o *Object, fromList bool) (*Object, error)
	// countMemory adds a number of bytes, which may be negative, to the memory of the resource. It returns an error if
	// the memory is not available.
	countMemory func(bytes int64) error
	// noted is called when a watch starts or ends, and when a list fails. If a watch starts, err is nil. In the other
	// cases, err is the reason for the end or the failure.
	noted func(err error)
	// late is called if a list takes longer than maxListTime.
	late func()
	// pace limits the rate at which the data of the cluster is read.
	pace *pace

	mu        sync.Mutex
	connected bool
	// alive is the last time at which the cluster sent data or accepted a watch.
	alive time.Time
	// latestChange is an upper bound of the time of the last change in the stored list.
	latestChange time.Time
	// asOf is the time up to which the stored objects include all changes on the cluster.
	asOf time.Time
	// listBegan is the time at which the request for the current list was sent.
	listBegan time.Time
	// hasEvents is true if the most recently started watch has sent at least one event.
	hasEvents bool
	// pages counts the pages of the current list. Only the goroutine of the Reflector uses it.
	pages int
	// failed is true after a list or watch has ended with an error. It is false while the watch works. The error itself
	// is not kept, because it may contain a long text of the cluster.
	failed bool
	// redefined is true if the CustomResourceDefinition may have changed since the last list. The resource must then be
	// listed before the next watch.
	redefined bool
	// listTimer ends the current list if the list takes longer than maxListTime. It is nil if no list is in progress.
	listTimer *time.Timer
}

var (
	_ toolscache.ListerWatcher            = &source{}
	_ toolscache.ListerWatcherWithContext = &source{}
)

const (
	// maxPages bounds the number of pages of a list, because a hostile cluster could send pages without end. A correct
	// API server sends one page, because the read cache requests lists without a limit.
	maxPages = 10_000
	// maxListTime bounds the duration of a list.
	maxListTime = 10 * time.Minute
)

var (
	errManyPages = fmt.Errorf("the API server has sent a list of more than %d pages", maxPages)
	errLongList  = fmt.Errorf("the API server has not sent the whole list within %s", maxListTime)
)

// IsWatchListSemanticsUnSupported returns true. The Reflector then sends list requests, instead of receiving the
// initial objects as watch events. A list takes half as long, because kube-apiserver encodes each watch event twice and
// sends it separately. Since Kubernetes 1.33, kube-apiserver also needs little memory for a list, because it streams
// the list.
func (*source) IsWatchListSemanticsUnSupported() bool { return true }

// List implements toolscache.ListerWatcher.
func (s *source) List(options metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), options)
}

// Watch implements toolscache.ListerWatcher.
func (s *source) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), options)
}

// ListWithContext implements toolscache.ListerWatcherWithContext. It lists the current objects, and ignores the
// resource version and the limit in the options.
func (s *source) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	// Without a limit, kube-apiserver can serve a consistent list from its watch cache instead of etcd (KEP-2340).
	options.Limit = 0
	if options.Continue == "" {
		// With the resource version of the Reflector, the list could be older than the objects that users have already
		// read.
		options.ResourceVersion, options.ResourceVersionMatch = "", ""
		s.beforeList()
		s.beginList()
	}
	s.pages++
	if s.pages > maxPages {
		s.lost(errManyPages)
		return nil, errManyPages
	}
	body, err := s.open(ctx, options)
	if err != nil {
		s.lost(err)
		return nil, err
	}
	defer func() { _ = body.Close() }()
	turn := s.pace.work.Turn(ctx)
	defer turn.Leave()
	page, err := s.read(turn.Body(body))
	if err != nil {
		s.lost(err)
		return nil, err
	}
	s.found(false) // also if the list is empty
	if page.Continue == "" {
		s.completeList()
	}
	return page, nil
}

// beginList starts the timer that bounds the duration of a list.
func (s *source) beginList() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.redefined, s.pages, s.listBegan = false, 0, time.Now()
	s.stopListTimer()
	s.listTimer = time.AfterFunc(maxListTime, s.late)
}

// completeList records that the list is complete, and stops the timer that bounds the duration of the list.
func (s *source) completeList() {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The list shows a state between its request and its end.
	s.latestChange, s.asOf = time.Now(), s.listBegan
	s.stopListTimer()
}

// cancelListTimer stops the timer that bounds the duration of a list. It is called when the resource was dropped.
func (s *source) cancelListTimer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopListTimer()
}

// stopListTimer stops the timer that bounds the duration of a list. The caller must hold the lock.
func (s *source) stopListTimer() {
	if s.listTimer != nil {
		s.listTimer.Stop()
		s.listTimer = nil
	}
}

// WatchWithContext implements toolscache.ListerWatcherWithContext. If the CustomResourceDefinition may have changed, it
// returns the error Expired. This error makes the Reflector list again.
func (s *source) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	if s.isRedefined() {
		return nil, apierrors.NewResourceExpired("the CustomResourceDefinition of the kind may have changed")
	}
	begun := time.Now()
	options.Watch = true
	body, err := s.open(ctx, options)
	if err != nil {
		s.lost(err)
		return nil, retriable(err)
	}
	s.watchStarted()
	var end sync.Once
	turn := s.pace.work.Turn(ctx)
	d := newDecoder(turn.Body(body), s.kind)
	d.turn = turn
	d.countMemory = s.countMemory
	d.keep = func(o *Object) (*Object, error) { return s.keep(o, false) }
	d.closed = func(err error) {
		end.Do(func() {
			if errors.Is(err, io.EOF) && !endedEarly(begun, options.TimeoutSeconds) {
				s.found(true) // the watch has worked until its end, even without events
			}
			s.lost(err)
			s.checkRedefined(err, begun, options.TimeoutSeconds)
		})
	}
	d.afterEvent = func() {
		s.found(true)
		_ = s.pace.events.Wait(ctx) // an error means that the watch has ended
	}
	return watch.NewStreamWatcher(
		d,
		apierrors.NewClientErrorReporter(http.StatusInternalServerError, "GET", "ClientWatchDecoding"),
	), nil
}

// isRedefined returns true if the CustomResourceDefinition may have changed since the last list. The resource must then
// be listed before the next watch.
func (s *source) isRedefined() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.redefined
}

// checkRedefined sets s.redefined if the end of a watch suggests that the CustomResourceDefinition has changed. err is
// the reason for the end, begun is the start of the watch, and seconds is the requested duration of the watch.
func (s *source) checkRedefined(err error, begun time.Time, seconds *int64) {
	// An API server ends the watches of a custom resource early when the CustomResourceDefinition changes. It sends no
	// events for objects whose stored data is unchanged. Without a new list, the cache would keep these objects in the
	// form of the old definition.
	custom := !scheme.Scheme.IsGroupRegistered(s.resource.Group)
	if custom && endedEarly(begun, seconds) && errors.Is(err, io.EOF) {
		s.mu.Lock()
		s.redefined = true
		s.mu.Unlock()
	}
}

func endedEarly(begun time.Time, seconds *int64) bool {
	// Without a requested duration, true is the safe result: the cache does not rely on the watch.
	return seconds == nil || time.Since(begun) < time.Duration(*seconds)*time.Second-time.Second
}

// retriable returns the error ECONNREFUSED if a watch request did not reach the API server. After this error, a
// Reflector watches again without a new list. retriable returns other errors unchanged.
func retriable(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", syscall.ECONNREFUSED, err)
}

// open sends a request for a list or a watch. The response may be compressed.
func (s *source) open(ctx context.Context, options metav1.ListOptions) (io.ReadCloser, error) {
	client, err := s.cluster.Reader(ctx)
	if err != nil {
		return nil, err //nolint:wrapcheck // it has its context
	}
	prefix := []string{"/apis", s.resource.Group, s.resource.Version, s.resource.Resource}
	if s.resource.Group == "" {
		prefix = []string{"/api", s.resource.Version, s.resource.Resource}
	}
	return client.Get().AbsPath(prefix...).VersionedParams(&options, metav1.ParameterCodec).
		SetHeader("Accept", runtime.ContentTypeJSON).SetHeader("Accept-Encoding", pacing.AcceptEncoding).
		MaxRetries(0).WarningHandler(rest.NoWarnings{}).Stream(ctx)
}

func (s *source) watchStarted() {
	s.mu.Lock()
	// latestChange and asOf remain unchanged, because the first events of the watch have not arrived.
	s.alive, s.hasEvents = time.Now(), false
	changed := !s.connected
	s.connected, s.failed = true, false
	s.mu.Unlock()
	if changed {
		s.noted(nil)
	}
}

// found records that a watch event or a part of a list has arrived. isWatch is true for a watch event. A watch event
// proves that the stored list is up to date. Therefore, found resets s.failed if isWatch is true.
func (s *source) found(isWatch bool) {
	s.mu.Lock()
	s.alive = time.Now()
	if isWatch {
		s.latestChange, s.asOf, s.hasEvents = s.alive, s.alive, true
	}
	changed := isWatch && !s.connected
	if changed {
		s.connected, s.failed = true, false
	}
	s.mu.Unlock()
	if changed {
		s.noted(nil)
	}
}

// lastSign returns the last time at which data arrived.
func (s *source) lastSign() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive
}

// lost records that a list or a watch has ended with err. io.EOF is the usual end: API servers end each watch after
// some minutes.
func (s *source) lost(err error) {
	s.mu.Lock()
	if s.connected && s.hasEvents && errors.Is(err, io.EOF) { // the watch has worked until its end
		s.latestChange = time.Now()
		s.asOf = s.latestChange
	}
	s.connected, s.failed = false, true
	s.stopListTimer()
	s.mu.Unlock()
	s.noted(err)
}

// reconnectTime is the time within which a new watch must start after the end of a watch. After this time, the cached
// objects are stale. API servers end each watch after some minutes, and a Reflector then starts another one at once.
const reconnectTime = time.Second

func (s *source) stale() (asOf, latestChange time.Time, stale bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connected || time.Since(s.latestChange) < reconnectTime {
		return time.Time{}, time.Time{}, false
	}
	// A complete list sets these times shortly before its objects are stored.
	return s.asOf, s.latestChange, true
}

func (s *source) hasFailed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}
