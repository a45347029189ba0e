// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"context"
	"fmt"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

const (
	// MetadataOnly is the Accept header for a PartialObjectMetadataList. It also accepts JSON, because API servers that
	// do not support PartialObjectMetadataLists return whole objects.
	MetadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
	// Protobuf is the Accept header for the protobuf encoding, which is decoded fastest. It also accepts JSON, because
	// API servers return custom resources only as JSON.
	Protobuf = "application/vnd.kubernetes.protobuf,application/json"
)

// Kind is one of the kinds that Survey lists.
type Kind struct {
	// Resource is the plural name of the kind, with its group if necessary, for example deployments.apps.
	Resource string
	// Accept is the Accept header of the list requests to the cluster.
	Accept string
	// FromCache allows Survey to read the objects from the read cache instead of the cluster.
	FromCache bool
	// Read processes the objects of the kind after Survey has listed them successfully. It may be called concurrently
	// with the Read functions of other kinds.
	Read func(ctx context.Context, r clusters.Resource, a Result) error
}

// Survey lists several kinds concurrently, and calls the Read function of each listed kind. An empty namespace means
// all namespaces. Survey omits kinds that the cluster does not serve or that the caller may not list. The returned Meta
// contains warnings about failed lists, and about objects that were too large.
//
// Survey returns an error if at least one list fails and no list succeeds. For a single namespace, it also returns an
// error if the caller may list none of the kinds.
func (c *Client) Survey(ctx context.Context, namespace string, kinds []Kind) (dashboardv1alpha1.Meta, error) {
	s := &survey{namespaces: sets.New[string]()}
	err := fanout.Each(ctx, len(kinds), CallsAtOnce, func(ctx context.Context, i int) error {
		s.addError(kinds[i], c.listKind(ctx, s, namespace, kinds[i]))
		return nil
	})
	if err != nil {
		return dashboardv1alpha1.Meta{}, err
	}
	for _, failure := range s.failures {
		klog.FromContext(ctx).Info("Some objects of a cluster could not be listed", "cluster", c.cluster,
			"err", failure)
	}
	switch {
	case s.answered == 0 && len(s.failures) > 0:
		return dashboardv1alpha1.Meta{}, s.failures[0]
	case s.answered == 0 && s.refused != nil && namespace != "": // The cluster returns the reason of the refusal.
		_, err := c.List(ctx, *s.refused, nil)
		return dashboardv1alpha1.Meta{}, err
	}
	slices.Sort(s.warnings)
	meta := dashboardv1alpha1.Meta{
		Source: dashboardv1alpha1.SourceAPIServer, Stale: s.asOf != nil, AsOf: s.asOf, Partial: s.partial,
		Namespaces: sets.List(s.namespaces), Warnings: s.warnings,
	}
	if s.answered > 0 && s.answered == s.cached {
		meta.Source = dashboardv1alpha1.SourceCache
	}
	return meta, nil
}

type survey struct {
	mu sync.Mutex
	// answered is the number of kinds with a result.
	answered int
	// cached is the number of kinds whose result came from the read cache.
	cached int
	// asOf is the time of the oldest stale result. It is nil if no result is stale.
	asOf       *metav1.Time
	refused    *objectref.Target
	partial    bool
	namespaces sets.Set[string]
	failures   []error
	warnings   []string
}

// listKind lists one kind, and calls kind.Read with the result. It does nothing if the cluster does not serve the kind.
// It also does nothing if namespace is set and the kind is cluster-scoped.
func (c *Client) listKind(ctx context.Context, s *survey, namespace string, kind Kind) error {
	resource, served, err := c.Served(ctx, kind.Resource)
	if err != nil {
		return envelope.FromAPIError(err)
	}
	if !served || !slices.Contains(resource.Verbs, "list") || (namespace != "" && !resource.Namespaced) {
		return nil
	}
	t := objectref.Target{Resource: resource, Namespace: namespace}
	answer, err := c.visible(ctx, t, kind)
	if err != nil {
		return err
	}
	s.addResult(&t, answer)
	if answer.isDenied() {
		return nil
	}
	release, err := holdForDecoding(ctx, answer)
	if err != nil {
		return envelope.FromAPIError(err)
	}
	defer release()
	if err := kind.Read(ctx, resource, answer); err != nil {
		return envelope.FromAPIError(err)
	}
	s.addWarnings(answer.Omitted.warnings())
	return nil
}

// visible returns the objects of one kind that the caller may list. It reads them from the read cache if kind.FromCache
// is true and the kind is cached. Otherwise, it requests them from the cluster.
func (c *Client) visible(ctx context.Context, t objectref.Target, kind Kind) (Result, error) {
	if kind.FromCache {
		if answer, ok, err := c.cachedResult(ctx, t); ok || err != nil {
			return answer, err
		}
	}
	return c.ListVisible(ctx, t, nil, kind.Accept)
}

func (a Result) isDenied() bool { return len(a.Bodies) == 0 && a.Cached == nil }

// decodedBytes is the number of additional bytes of memory that decoding needs for each byte of a list.
const decodedBytes = 2

// holdForDecoding reserves memory for decoding the objects of a list. Until release is called, this memory counts
// towards the memory limit of the request.
func holdForDecoding(ctx context.Context, result Result) (release func(), err error) {
	account := budget.AccountFrom(ctx)
	var size int64
	for _, body := range result.Bodies {
		size += int64(len(body)) * decodedBytes
	}
	if err := account.Take(size); err != nil {
		return nil, fmt.Errorf("decoding a list: %w", err)
	}
	return func() { account.Give(size) }, nil
}

func (s *survey) addResult(t *objectref.Target, a Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.partial = s.partial || a.Partial
	s.namespaces.Insert(a.Namespaces...)
	if a.isDenied() {
		s.refused = t
		return
	}
	s.answered++
	if a.Cached == nil {
		return
	}
	s.cached++
	if v := a.Cached.View; v.Stale && (s.asOf == nil || v.AsOf.Before(s.asOf.Time)) {
		s.asOf = &metav1.Time{Time: v.AsOf}
	}
}

func (s *survey) addWarnings(warnings []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warnings = append(s.warnings, warnings...)
}

func (s *survey) addError(kind Kind, err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, fmt.Errorf("listing %s: %w", kind.Resource, err))
	s.warnings = append(s.warnings, fmt.Sprintf("%s could not be listed: %s", kind.Resource, envelope.As(err).Message))
}
