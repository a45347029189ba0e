// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// ended is an error that ends a topic. It does not end the stream.
type ended struct {
	// reason is the machine-readable reason that the client gets, for example reasonExpired.
	reason string
	cause  *envelope.Error
}

// Error implements error.
func (e *ended) Error() string { return e.reason + ": " + e.cause.Error() }

// Reasons for which a topic ends.
const (
	reasonExpired     = "expired"
	reasonForbidden   = "forbidden"
	reasonClusterGone = "cluster-gone"
	reasonNotCached   = "not-cached"
	reasonInvalid     = "invalid"
	reasonLimit       = "limit"
	reasonFailed      = "failed"
)

func expired() error {
	return &ended{reasonExpired, envelope.New(dashboardv1alpha1.CodeStale,
		"the changes since the bookmark or the last event are no longer known: list again, or subscribe with initial "+
			"set to true")}
}

// notCached returns the error for a topic whose resource is not in the read cache.
func notCached(resource string) error {
	return &ended{reasonNotCached, envelope.New(dashboardv1alpha1.CodeConflict,
		"changes of %s are not watched on this cluster: list again instead", resource)}
}

// isDenial returns true if err denies a right, and false if the access review itself failed.
func isDenial(err error) bool {
	known, ok := errors.AsType[*envelope.Error](err)
	return ok && known.Code < dashboardv1alpha1.CodeInternal && known.Code != dashboardv1alpha1.CodeTooManyRequests
}

func (t *topic) endOfFeedError() error {
	select {
	case <-t.feed.connection.Done():
		return &ended{reasonClusterGone, envelope.New(dashboardv1alpha1.CodeUnreachable,
			"the connection to cluster %q is gone: subscribe again", t.cluster)}
	default:
	}
	if t.feed.connection.IsReadCacheDisabled() {
		return notCached(t.resource)
	}
	return expired()
}

// errorNotice returns the last message of a topic that has ended with err.
func (t topicName) errorNotice(err error) notice {
	n := notice{Type: failed, Topic: t.String(), ClusterID: t.cluster, Resource: t.resource, Namespace: t.namespace}
	known, reason := envelope.As(err), ""
	if end, ok := errors.AsType[*ended](err); ok {
		known, reason = end.cause, end.reason
	}
	n.Code, n.Message, n.Reason = int(known.Code), known.Message, reason
	if reason != "" {
		return n
	}
	switch known.Code {
	case dashboardv1alpha1.CodeForbidden, dashboardv1alpha1.CodeClusterForbidden,
		dashboardv1alpha1.CodeNamespaceForbidden:
		n.Reason = reasonForbidden
	case dashboardv1alpha1.CodeClusterNotFound:
		n.Reason = reasonClusterGone
	case dashboardv1alpha1.CodeRequired, dashboardv1alpha1.CodeInvalid, dashboardv1alpha1.CodeNotFound:
		n.Reason = reasonInvalid
	case dashboardv1alpha1.CodeTooManyRequests:
		n.Reason = reasonLimit
	default:
		n.Reason = reasonFailed
	}
	return n
}

// bookmarkNotice returns a bookmark at the current position of t. isInitial is true for the bookmark after the initial
// objects.
func (t *topic) bookmarkNotice(isInitial bool) notice {
	t.marked = time.Now()
	n := notice{
		Type: bookmark, Topic: t.String(), ClusterID: t.cluster, Resource: t.resource, Namespace: t.namespace,
		Bookmark: encodePosition(position{Epoch: t.epoch, Version: t.version}), Initial: isInitial,
	}
	if !t.scope.All {
		n.Partial, n.Namespaces = true, slices.Sorted(maps.Keys(t.scope.Namespaces))
	}
	return n
}

// position is the content of a bookmark.
type position struct {
	// Epoch is a hash of the resource and of the registration of the cluster. After the cluster is registered again,
	// the hash is different, and a client cannot resume at a position with the old hash.
	Epoch string `json:"of"`
	// Version is the ResourceVersion up to which all changes were sent.
	Version string `json:"v"`
}

func encodePosition(p position) string { return base64.RawURLEncoding.EncodeToString(encode(p)) }

const maxBookmark = 512

func decodePosition(text string) (position, bool) {
	p := position{}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(text) > maxBookmark || json.Unmarshal(raw, &p) != nil {
		return position{}, false
	}
	return p, true
}

// hasEnded returns true after the feed has ended.
func (f *feed) hasEnded() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.ended
}

// hasNews returns true if t has initial objects to send, or if its feed has entries after its cursor.
func (t *topic) hasNews() bool {
	if t.initial != nil {
		return true
	}
	t.feed.mu.RLock()
	defer t.feed.mu.RUnlock()
	return t.feed.head() > t.cursor
}
