// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/pkg/fanout"
)

// maxEntityTag bounds the length of an entity tag, in bytes. API servers send 130 bytes.
const maxEntityTag = 1 << 10

// entityTags records the entity tags of the two documents of aggregated discovery, /api and /apis. These documents list
// all resources that a cluster serves, including those of aggregated API servers. With the tags, two conditional
// requests show whether the resources have changed. A watch of CustomResourceDefinitions and APIServices would require
// additional rights, and would miss changes of aggregated API servers.
type entityTags struct {
	next http.RoundTripper

	mu sync.Mutex
	// newTags contains the entity tags (HTTP ETag) that the discovery in progress has received. The keys are /api and
	// /apis, the paths of the discovery documents.
	newTags map[string]string
	// catalogTags contains the entity tags (HTTP ETag) of the two discovery documents from which the current catalog of
	// resources was created. The keys are /api and /apis, the paths of the documents.
	catalogTags map[string]string
}

func newEntityTags(next http.RoundTripper) *entityTags {
	return &entityTags{next: next, newTags: map[string]string{}}
}

// discoveryPaths returns the paths of the discovery documents.
func discoveryPaths() []string { return []string{"/api", "/apis"} }

// RoundTrip sends the request. If the response is one of the documents /api and /apis of aggregated discovery,
// RoundTrip records its entity tag (HTTP ETag). With this tag, a later request can check whether the document has
// changed.
func (t *entityTags) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusOK {
		return response, err
	}
	document := apidiscoveryv2.SchemeGroupVersion.WithKind("APIGroupDiscoveryList")
	// The URL of the API server may have a path prefix.
	for _, path := range discoveryPaths() {
		tag := response.Header.Get("Etag")
		if !strings.HasSuffix(r.URL.Path, path) || tag == "" || len(tag) > maxEntityTag {
			continue
		}
		if ok, err := discovery.ContentTypeIsGVK(response.Header.Get("Content-Type"), document); ok && err == nil {
			t.mu.Lock()
			t.newTags[path] = tag
			t.mu.Unlock()
		}
	}
	return response, nil
}

// begin drops the entity tags in newTags, which belong to an earlier discovery. It must be called before each
// discovery.
func (t *entityTags) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.newTags = map[string]string{}
}

// commit copies newTags to catalogTags. It must be called after each successful discovery.
func (t *entityTags) commit() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.catalogTags = maps.Clone(t.newTags)
}

// complete returns true if the entity tags of both discovery documents, /api and /apis, are known.
func (t *entityTags) complete() bool { return len(t.all()) == len(discoveryPaths()) }

func (t *entityTags) all() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.catalogTags // The map is never modified.
}

// unchanged returns true if the discovery documents /api and /apis have not changed since the last successful
// discovery. It sends a conditional request for each document, with the known entity tag (HTTP ETag) of the document.
// If the entity tag of a document is unknown, unchanged returns false. It returns an error if a request fails.
func (t *entityTags) unchanged(ctx context.Context, client rest.Interface) (bool, error) {
	paths, tags := discoveryPaths(), t.all()
	if len(tags) != len(paths) {
		return false, nil
	}
	same := make([]bool, len(paths))
	err := fanout.Each(ctx, len(paths), len(paths), func(ctx context.Context, i int) error {
		var code int
		result := client.Get().AbsPath(paths[i]).SetHeader("Accept", discovery.AcceptV2+","+discovery.AcceptV1).
			SetHeader("If-None-Match", tags[paths[i]]).MaxRetries(0).Do(ctx).StatusCode(&code)
		if same[i] = code == http.StatusNotModified; same[i] {
			return nil
		}
		if err := result.Error(); err != nil {
			return fmt.Errorf("asking for %s: %w", paths[i], err)
		}
		return nil
	})
	return !slices.Contains(same, false), err
}
