// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package stepup

import (
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/endpoints/request"
	kjson "sigs.k8s.io/json"
)

// Request contains the properties of a request to a cluster. They determine whether the request requires a fresh code
// of the second factor.
type Request struct {
	// Method is the HTTP method.
	Method string
	// Group is the API group in the path of the request. It is empty for the core group.
	Group string
	// Resource is the name of the resource in the path of the request, for example pods.
	Resource string
	// Subresource is the name of the subresource in the path of the request, or empty.
	Subresource string
	// Namespace is empty for cluster-scoped resources.
	Namespace string
	// DryRun is true if the API server will persist nothing.
	DryRun bool
	// Body is the body of a DELETE request, or of a write to a Secret. It is nil for other requests.
	Body []byte
}

// reads returns true for the methods GET, HEAD and OPTIONS.
func (r Request) reads() bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
}

// IsSensitive returns true if the HTTP request requires a fresh code of the second factor. If a write cannot be parsed,
// IsSensitive returns true.
func IsSensitive(r *http.Request) bool {
	parsed, ok := parse(r)
	if !ok {
		return !Request{Method: r.Method}.reads()
	}
	return parsed.IsSensitive()
}

// parse parses the path and query of a request by the same rules as kube-apiserver. It returns false if the request is
// not for a resource, cannot be parsed completely, or might be interpreted in another way by kube-apiserver.
func parse(r *http.Request) (Request, bool) {
	if r.URL.RawPath != "" || r.URL.Opaque != "" || path.Clean(r.URL.Path) != strings.TrimSuffix(r.URL.Path, "/") {
		return Request{}, false
	}
	factory := request.RequestInfoFactory{
		APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api"),
	}
	info, err := factory.NewRequestInfo(r)
	if err != nil || !info.IsResourceRequest {
		return Request{}, false
	}
	out := Request{
		Method: r.Method, Group: info.APIGroup, Resource: info.Resource, Subresource: info.Subresource,
		Namespace: info.Namespace,
	}
	// KubeVision sends no writes to a path with a verb, such as /api/v1/watch/pods. Such writes are treated as
	// sensitive.
	if !out.reads() && (info.Verb == "proxy" || info.Verb == "watch") {
		return Request{}, false
	}
	if r.Method == http.MethodDelete || (out.isSecret() && !out.reads()) {
		if out.Body, err = body(r); err != nil {
			return Request{}, false
		}
	}
	out.DryRun = dryRun(r, out.Body)
	return out, true
}

// body returns a copy of the body. The request can still be sent. It returns an error if the body can be read only
// once.
func body(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if r.GetBody == nil {
		return nil, fmt.Errorf("the body of %s %s can be read only once", r.Method, r.URL.Path)
	}
	unread, err := r.GetBody()
	if err != nil {
		return nil, fmt.Errorf("copying the body: %w", err)
	}
	defer func() { _ = unread.Close() }()
	read, err := io.ReadAll(unread)
	if err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	return read, nil
}

// dryRun returns true if the API server treats the request as a dry run. For a DELETE with a body, API servers use the
// DeleteOptions in the body instead of the query.
func dryRun(r *http.Request, body []byte) bool {
	all := []string{metav1.DryRunAll}
	if r.Method != http.MethodDelete || len(body) == 0 {
		return slices.Equal(r.URL.Query()["dryRun"], all)
	}
	var options metav1.DeleteOptions
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &options); err != nil {
		return false
	}
	return slices.Equal(options.DryRun, all)
}
