// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization/accessreview"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
	"github.com/kubevision-io/kubevision/pkg/stepup"
	"github.com/kubevision-io/kubevision/pkg/tracing"
)

// Client sends requests to one cluster. All requests impersonate the same user.
type Client struct {
	connection *Connection
	user       string
	identity   transport.ImpersonationConfig

	config    *rest.Config
	resources *resourceMapper
	// senders returns the clients that send requests. The first call creates the clients, because a Client that only
	// reads from the cache does not need them.
	senders func() (*senders, error)
	// wrote is called after each successful call that may have changed objects. It may be nil.
	wrote func(Call, Response)
}

// OnWrite sets the callback for each successful request that may have changed objects. The callback must be set before
// the Client sends a request.
func (c *Client) OnWrite(wrote func(Call, Response)) { c.wrote = wrote }

// senders contains the HTTP client and the REST client that send the requests of one user to one cluster.
type senders struct {
	http *http.Client
	rest rest.Interface
}

// newClient returns a Client that impersonates the identity on the cluster. Several users of KubeVision may share an
// identity, so the limits for requests apply to the given user. newClient returns an error if the identity has no user
// name.
func newClient(c *Connection, user string, identity transport.ImpersonationConfig) (*Client, error) {
	if identity.UserName == "" {
		return nil, errors.New("a client must have a user")
	}
	return &Client{
		connection: c, user: user, identity: identity, config: c.config, resources: c.resources,
		senders: sync.OnceValues(func() (*senders, error) { return newSenders(c, user, identity) }),
	}, nil
}

// newSenders returns an HTTP client and a REST client that impersonate the identity. The limits for requests apply to
// the given user of KubeVision.
func newSenders(c *Connection, user string, identity transport.ImpersonationConfig) (*senders, error) {
	asUser := transport.NewImpersonatingRoundTripper(identity,
		&pacedRoundTripper{
			next: &chargingRoundTripper{next: c.transport, each: budget.Buffered}, workGates: c.workGates,
			largeGates: c.largeGates, callGates: c.callGates, listQueue: c.listQueue, sizes: c.sizes, user: user,
		})
	measured := &measuredRoundTripper{next: asUser, cluster: c.name()}
	traced := &tracing.RoundTripper{Next: measured, Cluster: c.name(), Propagate: c.propagates()}
	named := transport.NewUserAgentRoundTripper(userAgent(), traced)
	out := &senders{http: &http.Client{
		// stepup.RoundTripper must be the outermost. It rejects requests that already have impersonation headers,
		// because client-go would send these headers instead of the identity.
		Transport: &stepup.RoundTripper{Next: named}, Timeout: callTimeout, CheckRedirect: refuseRedirect,
	}}
	var err error
	out.rest, err = newRESTClient(c.config, out.http)
	return out, err
}

func newRESTClient(config *rest.Config, by *http.Client) (rest.Interface, error) {
	client, err := rest.UnversionedRESTClientForConfigAndClient(config, by)
	if err != nil {
		return nil, fmt.Errorf("creating a client for the cluster: %w", err)
	}
	return client, nil
}

// rest returns the client that sends requests as the user.
func (c *Client) rest() (rest.Interface, error) {
	s, err := c.senders()
	if err != nil {
		return nil, err
	}
	return s.rest, nil
}

// endless returns a REST client without a timeout, for responses such as a followed log.
func (c *Client) endless() (rest.Interface, error) {
	s, err := c.senders()
	if err != nil {
		return nil, err
	}
	return newRESTClient(c.config, &http.Client{Transport: s.http.Transport, CheckRedirect: refuseRedirect})
}

// Connection returns the connection that the client uses.
func (c *Client) Connection() *Connection { return c.connection }

// User returns the user name of the caller in KubeVision. The name that the Client impersonates on the cluster may
// differ.
func (c *Client) User() string { return c.user }

// Identity returns the impersonated user and groups. The caller must not modify them.
func (c *Client) Identity() transport.ImpersonationConfig { return c.identity }

// objects returns a controller-runtime client for the KubeVision kinds and for Secrets.
func (c *Client) objects() (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(kubevisionv1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("building a scheme: %w", err)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	for _, kind := range []string{
		kubevisionv1alpha1.KindUser, kubevisionv1alpha1.KindCluster, kubevisionv1alpha1.KindRoleBinding,
		kubevisionv1alpha1.KindSession, kubevisionv1alpha1.KindLoginThrottle,
	} {
		mapper.Add(kubevisionv1alpha1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	s, err := c.senders()
	if err != nil {
		return nil, err
	}
	made, err := client.New(c.config, client.Options{Scheme: scheme, Mapper: mapper, HTTPClient: s.http})
	if err != nil {
		return nil, fmt.Errorf("creating a client for the host: %w", err)
	}
	return made, nil
}

// Resource finds a resource by its name: plural, plural.group or plural.version.group. It returns false if the cluster
// does not serve the resource.
//
// Resource first uses the cached discovery. If the name is missing there, or isExpected returns false for the found
// resource, Resource returns the result of a newer discovery without calling isExpected. isExpected may be nil.
func (c *Client) Resource(ctx context.Context, name string, isExpected func(*Resource) bool) (Resource, bool, error) {
	return c.resources.find(ctx, name, isExpected)
}

// Served finds a resource in the cached discovery by its name, which is plural, plural.group or plural.version.group.
// It returns false if the name is missing there. A missing name does not cause another discovery. Served is intended
// for callers that often look up resources that a cluster does not serve.
func (c *Client) Served(ctx context.Context, name string) (Resource, bool, error) {
	return c.resources.served(ctx, name)
}

// Resources returns all resources that the cluster serves, in the cluster's order of preference.
func (c *Client) Resources(ctx context.Context) ([]Resource, error) {
	known, err := c.resources.current(ctx)
	if err != nil {
		return nil, err
	}
	return known.ordered, nil
}

// RefreshResources discovers the resources of the cluster again.
func (c *Client) RefreshResources(ctx context.Context) error {
	return c.resources.refresh(ctx)
}

// maxReviewBytes bounds the response to a SelfSubjectAccessReview, in bytes. Usual responses have a few hundred bytes.
const maxReviewBytes = 64 << 10

// Allowed returns true if the authorizer of the cluster allows the user the action that the attributes describe.
// Callers must treat an error as a denial.
func (c *Client) Allowed(ctx context.Context, attributes authorizationv1.ResourceAttributes) (bool, error) {
	question := &authorizationv1.SelfSubjectAccessReview{}
	question.APIVersion, question.Kind = authorizationv1.SchemeGroupVersion.String(), "SelfSubjectAccessReview"
	question.Spec.ResourceAttributes = &attributes
	status, err := c.review(ctx, question)
	if err != nil {
		return false, fmt.Errorf("reviewing access to %s: %w", attributes.Resource, response.Error(ctx, err))
	}
	return accessreview.Allows(status)
}

// review sends the SelfSubjectAccessReview, and returns the status of the response.
func (c *Client) review(
	ctx context.Context, question *authorizationv1.SelfSubjectAccessReview,
) (authorizationv1.SubjectAccessReviewStatus, error) {
	var reviewed struct {
		Status authorizationv1.SubjectAccessReviewStatus `json:"status"`
	}
	sender, err := c.rest()
	if err != nil {
		return reviewed.Status, err
	}
	stream, err := sender.Post().AbsPath("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").Body(question).
		SetHeader("Accept", mediaTypeJSON).MaxRetries(maxRetries).Stream(ctx)
	if err != nil {
		return reviewed.Status, err //nolint:wrapcheck // the caller wraps it
	}
	defer func() { _ = stream.Close() }()
	body, err := io.ReadAll(io.LimitReader(stream, maxReviewBytes+1))
	switch {
	case err != nil:
		return reviewed.Status, err //nolint:wrapcheck // the caller wraps it
	case len(body) > maxReviewBytes:
		return reviewed.Status, ErrTooLarge
	}
	if err := json.Unmarshal(body, &reviewed); err != nil {
		return reviewed.Status, response.NewFailure("the response to an access review cannot be decoded", err)
	}
	return reviewed.Status, nil
}
