// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/client-go/rest"
)

// maxRetries bounds how often a call is repeated after responses with a Retry-After header.
const maxRetries = 2

const mediaTypeJSON = "application/json"

// Call describes a request to a cluster's API server.
type Call struct {
	// Method is the HTTP method. It defaults to GET.
	Method   string
	Resource Resource
	// Namespace is the namespace of the object. It is empty for all namespaces and for cluster-scoped kinds.
	Namespace string
	// Name is the name of the object. It is empty for a list or for a new object.
	Name        string
	Subresource string
	Query       url.Values
	// Body is the body of the request, or nil.
	Body []byte
	// ContentType is the media type of Body. It defaults to application/json.
	ContentType string
	// Accept is the media type of the response. It defaults to application/json.
	Accept string
	// Once disables the retries after a Retry-After header: the call returns the error of the first response.
	Once bool
}

// Response is the response of a cluster's API server.
type Response struct {
	Body []byte
	// ContentType is the media type of the response.
	ContentType string
	// Warnings are the warning headers of the response.
	Warnings []string
}

// Do sends the call as the user, and returns the response or the error of the API server. It also returns an error if
// the API server cannot be reached. The status 404 or 405 can mean that the cluster no longer serves this version of
// the resource. For these statuses, Do looks up the resource again, and repeats the call if the cluster serves another
// version to which it can send the call unchanged. A status 404 for a single object is an exception: Do returns it.
func (c *Client) Do(ctx context.Context, call Call) (Response, error) {
	answer, err := c.do(ctx, call)
	if mayBeUnserved(&call, err) {
		if call, err = c.resources.refreshCall(ctx, call, err); err != nil {
			return Response{}, err
		}
		answer, err = c.do(ctx, call)
	}
	if err == nil && c.wrote != nil && call.writes() {
		c.wrote(call, answer)
	}
	return answer, err
}

// writes returns true if the call may change objects: its method is not GET, and it is no dry run.
func (c *Call) writes() bool {
	return c.Method != "" && c.Method != http.MethodGet && !c.Query.Has("dryRun")
}

func (c *Client) do(ctx context.Context, call Call) (Response, error) {
	if call.Name != "" || (call.Method != "" && call.Method != http.MethodGet) {
		ctx = withObjectResponse(ctx)
	} else {
		ctx = withListResponse(ctx)
	}
	client, err := c.rest()
	if err != nil {
		return Response{}, err
	}
	result := requestOf(client, call).Do(ctx)
	if err := result.Error(); err != nil { // Raw drops the message of the API server
		return Response{}, err
	}
	out := Response{}
	for _, w := range result.Warnings() {
		out.Warnings = append(out.Warnings, w.Text)
	}
	result.ContentType(&out.ContentType)
	out.Body, err = result.Raw()
	return out, err
}

// Stream sends the call as the user, and returns the response body as a stream, which the caller must close. It returns
// an error if the API server cannot be reached, or if its response is an error. If the cluster now serves another
// version of the resource, Stream repeats the call with this version.
func (c *Client) Stream(ctx context.Context, call Call) (io.ReadCloser, error) {
	ctx = withStreamedResponse(ctx)
	if call.Name == "" && (call.Method == "" || call.Method == http.MethodGet) {
		ctx = withListResponse(ctx)
	}
	client, err := c.rest()
	if err != nil {
		return nil, err
	}
	stream, err := requestOf(client, call).Stream(ctx)
	if !mayBeUnserved(&call, err) {
		return stream, err
	}
	if call, err = c.resources.refreshCall(ctx, call, err); err != nil {
		return nil, err
	}
	return requestOf(client, call).Stream(ctx)
}

func requestOf(client rest.Interface, call Call) *rest.Request {
	method, accept, contentType := call.Method, call.Accept, call.ContentType
	if method == "" {
		method = http.MethodGet
	}
	if accept == "" {
		accept = mediaTypeJSON
	}
	retries := maxRetries
	if call.Once {
		retries = 0
	}
	request := client.Verb(method).AbsPath(path(call)...).SetHeader("Accept", accept).MaxRetries(retries).
		WarningHandler(rest.NoWarnings{})
	if subresource, _, _ := strings.Cut(call.Subresource, "/"); subresource == "proxy" {
		request = request.Timeout(0) // The timeout would be added to the query that the proxied server receives.
	}
	for key, values := range call.Query {
		for _, value := range values {
			request = request.Param(key, value)
		}
	}
	if call.Body != nil {
		if contentType == "" {
			contentType = mediaTypeJSON
		}
		request = request.SetHeader("Content-Type", contentType).Body(call.Body)
	}
	return request
}

// Get returns the JSON of the object with the given name. If the name is empty, Get returns a list. If the namespace is
// empty, the list contains the objects of all namespaces.
func (c *Client) Get(ctx context.Context, r Resource, namespace, name string, query url.Values) ([]byte, error) {
	answer, err := c.Do(ctx, Call{Resource: r, Namespace: namespace, Name: name, Query: query})
	return answer.Body, err
}

func path(call Call) []string {
	r := call.Resource
	segments := []string{"/apis", r.Group, r.Version}
	if r.Group == "" {
		segments = []string{"/api", r.Version}
	}
	if call.Namespace != "" {
		segments = append(segments, "namespaces", call.Namespace)
	}
	segments = append(segments, r.GroupVersionResource.Resource)
	for _, segment := range []string{call.Name, call.Subresource} {
		if segment != "" {
			segments = append(segments, segment)
		}
	}
	return segments
}
