// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hostobjects contains common code of the endpoints that read and write KubeVision's custom resources as the
// caller.
package hostobjects

import (
	"context"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// Host connects callers to the host cluster.
type Host struct {
	// As returns a client for the host cluster. The requests of the client are authorized as requests of the given
	// user.
	As func(context.Context, user.Info) (client.Client, error)
	// Reviewer creates SubjectAccessReviews on the host.
	Reviewer *authorization.Reviewer
}

// Client reads and writes objects of the host cluster, in which KubeVision stores its custom resources. It impersonates
// the caller. Therefore, the RBAC of the host cluster authorizes the calls.
type Client struct {
	user.Info
	client.Client

	reviewer *authorization.Reviewer
}

// Connect returns a Client that acts as u, the caller of r.
func (h *Host) Connect(r *routes.Request, u user.Info) (*Client, error) {
	c, err := h.As(r.Context(), u)
	if err != nil {
		return nil, err
	}
	return &Client{Info: u, Client: c, reviewer: h.Reviewer}, nil
}

// Named wraps connect() with a check of an object name. The returned function first checks the object name in the given
// path parameter. If the name is not valid, the function returns an error. Otherwise, it calls connect().
func Named(
	parameter string, connect func(*routes.Request, user.Info) (*Client, error),
) func(*routes.Request, user.Info) (*Client, error) {
	return func(r *routes.Request, u user.Info) (*Client, error) {
		if err := routes.CheckSubdomain(parameter, r.Path(parameter)); err != nil {
			return nil, err
		}
		return connect(r, u)
	}
}

// Find reads the cluster-scoped object with the given name. It impersonates the caller. If the object does not exist,
// Find returns notFound with the cause.
func (c *Client) Find(ctx context.Context, name string, into client.Object, notFound *envelope.Error) error {
	err := c.Get(ctx, types.NamespacedName{Name: name}, into)
	switch {
	case apierrors.IsNotFound(err):
		return notFound.WithCause(err)
	case err != nil:
		return envelope.FromAPIError(err)
	default:
		return nil
	}
}

// WriteError converts err, the error of a write, to an error with a code of KubeVision's API. A Forbidden error can
// come from RBAC or from an admission plugin. To distinguish them, WriteError sends an access review for each of the
// actions, which are the rights that the write requires:
//
//   - If the caller lacks one of the rights, the code is CodeForbidden.
//   - If the caller has all of them, an admission plugin has rejected the write, and the code is CodeRejected.
//
// KubeVision's own ValidatingAdmissionPolicies also deny writes if the caller lacks a right. After such a denial, the
// code is CodeForbidden without an access review.
func (c *Client) WriteError(ctx context.Context, err error, actions ...authorizationv1.ResourceAttributes) error {
	if err == nil {
		return nil
	}
	outcome := envelope.FromAPIError(err)
	if outcome.Code != dashboardv1alpha1.CodeForbidden || envelope.LacksRight(err) || len(actions) == 0 {
		return outcome
	}
	for i := range actions {
		allowed, reviewErr := c.reviewer.Allowed(ctx, c.Info, &actions[i])
		if reviewErr != nil {
			return authorization.NewReviewFailed(reviewErr)
		}
		if !allowed {
			return outcome
		}
	}
	return envelope.New(dashboardv1alpha1.CodeRejected, "%s", outcome.Message).WithCause(err)
}

// WriteErrorFor returns a function that converts the error of a write on the host cluster to an error with a code of
// KubeVision's API. actions contains the rights that the user needs for the write.
func (c *Client) WriteErrorFor(actions ...authorizationv1.ResourceAttributes) func(context.Context, error) error {
	return func(ctx context.Context, err error) error { return c.WriteError(ctx, err, actions...) }
}

// SecretAction returns the ResourceAttributes of a verb on a Secret in KubeVision's namespace.
func SecretAction(verb, name string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{Version: "v1", Resource: "secrets", Verb: verb,
		Namespace: names.Namespace, Name: name}
}

// Action returns the ResourceAttributes of a verb on one of KubeVision's custom resources.
func Action(verb, resource, name string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{Group: kubevisionv1alpha1.GroupName, Resource: resource, Verb: verb,
		Name: name}
}

// CheckVersion returns an error with CodeStale if requestVersion is not the ResourceVersion of object. requestVersion
// is the ResourceVersion in the request. If it is empty, CheckVersion returns nil.
func CheckVersion(requestVersion string, object client.Object) error {
	if requestVersion != "" && requestVersion != object.GetResourceVersion() {
		return envelope.New(dashboardv1alpha1.CodeStale, "%q was changed in the meantime: read it again",
			object.GetName())
	}
	return nil
}

// List returns a result with items and their number. If items is nil, the data are an empty JSON array instead of null.
func List[T any](items []T) routes.Result {
	if items == nil {
		items = []T{}
	}
	return routes.Result{Data: items, Meta: dashboardv1alpha1.Meta{Total: new(int64(len(items)))}}
}
