// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package httpproxy sends GET requests to HTTP servers in a cluster, through the subresource proxy of a Service or Pod.
package httpproxy

import (
	"context"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	subresource = "proxy"
	// maxPath bounds the bytes of the path of a request to the HTTP server. It also bounds the bytes of the query.
	maxPath = 4 << 10
	// policy is the Content-Security-Policy of responses. It prevents an HTML page from acting as the dashboard: the
	// page has a separate origin, runs no scripts and loads nothing.
	policy = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
)

// Provider provides the endpoints of this package.
type Provider struct {
	// Access connects callers to clusters.
	Access *authorization.Access
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	docs := objectref.Docs()
	kinds := []struct{ plural, operation string }{{"services", "Service"}, {"pods", "Pod"}}
	methods := []string{http.MethodGet, http.MethodHead}
	out := make([]routes.Route, 0, len(kinds)*len(methods))
	for _, kind := range kinds {
		endpoint := func(r *routes.Request, caller *clusters.Client) (routes.Result, error) {
			return read(r, caller, kind.plural)
		}
		for _, method := range methods {
			out = append(out, routes.Route{
				Method: method, Path: "/clusters/{cluster}/namespaces/{namespace}/" + kind.plural + "/{name}/proxy",
				Operation: strings.ToLower(method) + "Through" + kind.operation,
				Doc:       "return the response of an HTTP server at a port of a " + kind.operation,
				Returns:   dashboardv1alpha1.Envelope{},
				Parameters: map[string]string{
					objectref.Namespace: docs[objectref.Namespace], objectref.Name: docs[objectref.Name],
					"port": "the number or the name of the port", "path": "the path and the query; / by default",
					"scheme": "the scheme of the server; http by default",
				},
				Types:    map[string]routes.Type{"scheme": routes.OneOf("http", "https")},
				Endpoint: routes.Reviewed(p.Access.Cluster, endpoint),
			})
		}
	}
	return out
}

// read sends a GET request to the HTTP server of a Pod or Service. resource is pods or services. The result contains
// only the body and the media type of the server's response, without other headers.
func read(r *routes.Request, caller *clusters.Client, resource string) (routes.Result, error) {
	target, err := objectref.Find(
		r.Context(), caller, "get", resource, r.Path(objectref.Namespace), r.Path(objectref.Name),
	)
	if err != nil {
		return routes.Result{}, err
	}
	attributes := target.Attributes("get")
	attributes.Subresource = subresource
	call, err := callOf(r, target)
	if err != nil {
		return routes.Result{}, err
	}
	sensitive := target.Call(http.MethodGet)
	sensitive.Subresource = subresource
	if err := caller.Prove(r.Context(), sensitive); err != nil {
		return routes.Result{}, err
	}
	answer, err := caller.Do(r.Context(), call)
	if err := failed(r.Context(), caller, attributes, err); err != nil {
		return routes.Result{}, err
	}
	write := func(_ context.Context, w io.Writer) error {
		_, err := w.Write(answer.Body)
		return err //nolint:wrapcheck // the connection is cut
	}
	return routes.Result{Raw: &routes.Raw{Header: headerOf(answer.ContentType), Write: write}}, nil
}

func failed(ctx context.Context, caller *clusters.Client, a authorizationv1.ResourceAttributes, err error) error {
	return authorization.CallError(ctx, caller, a, err)
}

// callOf converts the query parameters of r to a request for the proxy subresource of target. It returns an error if a
// query parameter is malformed.
func callOf(r *routes.Request, target objectref.Target) (clusters.Call, error) {
	call := target.Call(http.MethodGet)
	call.Accept, call.Once = "*/*", true
	port, scheme := r.Query("port"), r.Query("scheme")
	if port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if (err != nil || number == 0) && len(utilvalidation.IsValidPortName(port)) > 0 {
			return call, envelope.Invalid("port", "port must be the number or the name of a port")
		}
		call.Name += ":" + port
	}
	switch scheme {
	case "", "http":
	case "https":
		call.Name = "https:" + call.Name
		if port == "" {
			call.Name += ":"
		}
	default:
		return call, envelope.Invalid("scheme", "scheme must be http or https")
	}
	path, query, _ := strings.Cut(r.Query("path"), "?")
	if err := checkPath(path); err != nil {
		return call, err
	}
	if len(query) > maxPath {
		return call, envelope.Invalid("path", "the query of the path is longer than %d bytes", maxPath)
	}
	parsed, err := url.ParseQuery(query)
	if err != nil {
		return call, envelope.Invalid("path", "the query of the path is malformed")
	}
	call.Query, call.Subresource = parsed, subresource+"/"+strings.TrimPrefix(path, "/")
	return call, nil
}

// checkPath returns an error for a path that API servers could decode or normalize in different ways.
func checkPath(path string) error {
	if len(path) > maxPath || strings.ContainsAny(path, "%\\#") || strings.Contains(path, "//") {
		return envelope.Invalid("path",
			"the path is too long, or has empty segments or characters that are not accepted")
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return envelope.Invalid("path", "the path must not contain the segments . and ..")
		}
	}
	for i := range len(path) {
		if path[i] < 0x20 || path[i] >= 0x7f {
			return envelope.Invalid("path", "the path must contain only printable ASCII characters")
		}
	}
	return nil
}

// headerOf returns the header of the response to the client. contentType is the media type that the server in the Pod
// or behind the Service has sent. No other headers of this server are passed on.
func headerOf(contentType string) http.Header {
	if _, _, err := mime.ParseMediaType(contentType); err != nil {
		contentType = "application/octet-stream"
	}
	return http.Header{
		"Content-Type":                 {contentType},
		"Content-Security-Policy":      {policy},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Referrer-Policy":              {"no-referrer"},
		"X-Frame-Options":              {"DENY"},
	}
}
