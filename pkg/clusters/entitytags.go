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

// maxEntityTag is the largest entity tag that is kept: API servers send 130 bytes.
const maxEntityTag = 1 << 10

// entityTags are those of the two documents of aggregated discovery, which name all that a cluster serves. They tell
// for the price of two small requests that nothing has changed, aggregated API servers included, and take no right that
// the account lacks. A watch of CustomResourceDefinitions and APIServices would take more rights, and know less.
type entityTags struct {
	next http.RoundTripper

	mu sync.Mutex
	// noted are those of the documents that are being read, tags those of what is known.
	noted, tags map[string]string
}

func newEntityTags(next http.RoundTripper) *entityTags {
	return &entityTags{next: next, noted: map[string]string{}}
}

// discoveryPaths are the paths of the documents.
func discoveryPaths() []string { return []string{"/api", "/apis"} }

// RoundTrip notes the entity tag of a document that is sent as a whole.
func (t *entityTags) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusOK {
		return response, err
	}
	document := apidiscoveryv2.SchemeGroupVersion.WithKind("APIGroupDiscoveryList")
	// The path may be below one at which the API server is.
	for _, path := range discoveryPaths() {
		tag := response.Header.Get("Etag")
		if !strings.HasSuffix(r.URL.Path, path) || tag == "" || len(tag) > maxEntityTag {
			continue
		}
		if ok, err := discovery.ContentTypeIsGVK(response.Header.Get("Content-Type"), document); ok && err == nil {
			t.mu.Lock()
			t.noted[path] = tag
			t.mu.Unlock()
		}
	}
	return response, nil
}

// begin forgets what was noted, before all documents are read.
func (t *entityTags) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.noted = map[string]string{}
}

// commit keeps what was noted, when what is known is what those documents say.
func (t *entityTags) commit() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tags = maps.Clone(t.noted)
}

// complete says whether there is a tag of each document.
func (t *entityTags) complete() bool { return len(t.all()) == len(discoveryPaths()) }

func (t *entityTags) all() map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tags // which is never changed
}

// unchanged asks whether the documents are those of the tags. It is false where that cannot be asked.
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
