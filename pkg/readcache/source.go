// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

// source lists and watches one kind of one cluster.
type source struct {
	cluster  Cluster
	resource schema.GroupVersionResource
	kind     schema.GroupVersionKind
	// begin is called before each list. keep is called with each object before it is stored, with true for objects of a
	// list.
	begin func()
	keep  func(o *Object, listed bool) (*Object, error)
	// buffered is called when the memory of an event grows or shrinks.
	buffered func(bytes int64) error
	// noted is called when the watch starts or breaks. late is called if a list takes too long.
	noted, late func()
	// pace limits the rate of changes of the cluster.
	pace *rate.Limiter

	mu        sync.Mutex
	connected bool
	// alive is the last time at which the watch worked.
	alive time.Time
	// pages counts the pages of the current list. Only the Reflector uses it.
	pages int
	// failure is the error of the last attempt to list or watch.
	failure error
	// redefined is true if the CustomResourceDefinition of the kind may have changed since the last list.
	redefined bool
	// listing is the timer of the current list, or nil.
	listing *time.Timer
}

var (
	_ toolscache.ListerWatcher            = &source{}
	_ toolscache.ListerWatcherWithContext = &source{}
)

const (
	// maxPages bounds the pages of a list. A Reflector requests 500 objects per page.
	maxPages = 10_000
	// maxListTime bounds the duration of a list.
	maxListTime = 10 * time.Minute
	// eventRate and eventBurst bound the changes of all kinds of a cluster per second. Further changes are delayed.
	eventRate  = 5000
	eventBurst = 20_000
)

var (
	errManyPages = fmt.Errorf("the API server has sent a list of more than %d pages", maxPages)
	errLongList  = fmt.Errorf("the API server has not sent the whole list within %s", maxListTime)
)

// list is a page of a list.
type list struct {
	metav1.ListMeta

	Items []runtime.Object
}

// GetObjectKind implements runtime.Object.
func (*list) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. A list is never changed.
func (l *list) DeepCopyObject() runtime.Object { return l }

// IsWatchListSemanticsUnSupported makes a Reflector list the objects instead of receiving them as events of a watch.
// kube-apiserver encodes an event twice and sends it separately, so that a list takes half of the time. Since
// Kubernetes 1.33, it streams lists, too.
func (*source) IsWatchListSemanticsUnSupported() bool { return true }

// List implements toolscache.ListerWatcher.
func (s *source) List(options metav1.ListOptions) (runtime.Object, error) {
	return s.ListWithContext(context.Background(), options)
}

// Watch implements toolscache.ListerWatcher.
func (s *source) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return s.WatchWithContext(context.Background(), options)
}

// ListWithContext implements toolscache.ListerWatcherWithContext. The first list is consistent, although a Reflector
// requests any version, so that a restart does not show older objects. It is not paged, because kube-apiserver answers
// a list without a limit from its own cache.
func (s *source) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	if options.ResourceVersion == "0" {
		options.ResourceVersion = ""
	}
	options.Limit = 0
	if options.Continue == "" {
		s.begin()
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
	page, err := s.read(body)
	if err != nil {
		s.lost(err)
		return nil, err
	}
	s.found(false) // also if the list is empty
	if page.Continue == "" {
		s.endList()
	}
	return page, nil
}

// beginList starts the timer of a list.
func (s *source) beginList() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.redefined, s.pages = false, 0
	s.stopListing()
	s.listing = time.AfterFunc(maxListTime, s.late)
}

// endList stops the timer of a list that is complete or was aborted.
func (s *source) endList() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopListing()
}

// stopListing stops the timer. The caller must hold the lock.
func (s *source) stopListing() {
	if s.listing != nil {
		s.listing.Stop()
		s.listing = nil
	}
}

// WatchWithContext implements toolscache.ListerWatcherWithContext.
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
	s.found(true)
	var end sync.Once
	d := newDecoder(body, s.kind)
	d.buffered = s.buffered
	d.keep = func(o *Object) (*Object, error) { return s.keep(o, false) }
	d.closed = func(err error) {
		end.Do(func() {
			s.lost(err)
			s.closed(err, begun, options.TimeoutSeconds)
		})
	}
	d.read = func() {
		s.found(true)
		_ = s.pace.Wait(ctx) // an error means that the watch has ended
	}
	return watch.NewStreamWatcher(
		d,
		apierrors.NewClientErrorReporter(http.StatusInternalServerError, "GET", "ClientWatchDecoding"),
	), nil
}

// isRedefined returns true if the kind must be listed before the next watch.
func (s *source) isRedefined() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.redefined
}

// closed records that the API server has ended a watch of a custom resource early, as it does when the
// CustomResourceDefinition changes. The API server sends no events for objects whose representation changes, so the
// kind must be listed again.
func (s *source) closed(err error, begun time.Time, seconds *int64) {
	custom := !scheme.Scheme.IsGroupRegistered(s.resource.Group)
	early := seconds == nil || time.Since(begun) < time.Duration(*seconds)*time.Second-time.Second
	if custom && early && errors.Is(err, io.EOF) {
		s.mu.Lock()
		s.redefined = true
		s.mu.Unlock()
	}
}

// retriable converts an error of a request that did not reach the API server, so that a Reflector continues the watch
// instead of listing again. It returns other errors unchanged.
func retriable(err error) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", syscall.ECONNREFUSED, err)
}

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
		SetHeader("Accept", runtime.ContentTypeJSON).MaxRetries(0).WarningHandler(rest.NoWarnings{}).Stream(ctx)
}

// read reads a page of a list, one object at a time.
func (s *source) read(body io.Reader) (*list, error) {
	bounded := &pageReader{body: body, buffered: s.buffered}
	defer bounded.close()
	decoder, page := json.NewDecoder(bounded), &list{Items: []runtime.Object{}}
	if err := delimiter(decoder, '{'); err != nil {
		return nil, err
	}
	complete := false
	for decoder.More() {
		bounded.begin()
		field, err := decoder.Token()
		if err != nil {
			return nil, unreadable(err)
		}
		switch field {
		case "metadata":
			err = decoder.Decode(&page.ListMeta)
		case "items":
			complete, err = true, s.items(decoder, bounded, page)
		default:
			err = decoder.Decode(new(json.RawMessage))
		}
		if err != nil {
			return nil, unreadable(err)
		}
	}
	if !complete {
		return nil, rawjson.ErrSyntax
	}
	return page, delimiter(decoder, '}')
}

func (s *source) items(decoder *json.Decoder, bounded *pageReader, page *list) error {
	if err := delimiter(decoder, '['); err != nil {
		return err
	}
	for decoder.More() {
		bounded.begin()
		var text json.RawMessage
		if err := decoder.Decode(&text); err != nil {
			return unreadable(err)
		}
		o, err := parse(text, s.kind)
		if err != nil {
			return err
		}
		if o, err = s.keep(o, true); err != nil {
			return err
		}
		s.found(false)
		page.Items = append(page.Items, o)
	}
	return delimiter(decoder, ']')
}

func delimiter(decoder *json.Decoder, want json.Delim) error {
	token, err := decoder.Token()
	if err != nil {
		return unreadable(err)
	}
	if token != want {
		return rawjson.ErrSyntax
	}
	return nil
}

// unreadable replaces an error that may quote data of a cluster.
func unreadable(err error) error {
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return rawjson.ErrSyntax
	}
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return rawjson.ErrSyntax
	}
	return err
}

// found records that the watch works. The store is current once the list is complete.
func (s *source) found(complete bool) {
	s.mu.Lock()
	s.alive = time.Now()
	changed := complete && !s.connected
	if changed {
		s.connected, s.failure = true, nil
	}
	s.mu.Unlock()
	if changed {
		s.noted()
	}
}

// lastSign returns the time of the last event or listed object.
func (s *source) lastSign() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive
}

// lost records that the watch has ended. API servers end each watch after some minutes without an error.
func (s *source) lost(err error) {
	s.mu.Lock()
	if s.connected && errors.Is(err, io.EOF) {
		s.alive = time.Now()
	}
	s.connected, s.failure = false, err
	s.stopListing()
	s.mu.Unlock()
	s.noted()
}

// reconnect is the time without a watch after which objects are stale. API servers end each watch after some minutes,
// and a Reflector starts another one immediately.
const reconnect = time.Second

// stale returns true if the watch is broken, and the last time at which it worked.
func (s *source) stale() (asOf time.Time, stale bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.connected || time.Since(s.alive) < reconnect {
		return time.Time{}, false
	}
	return s.alive, true
}

func (s *source) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}
