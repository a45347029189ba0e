// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hostobjects provides the common part of the endpoints that read and write KubeVision's own objects as the
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

// Host is the host cluster.
type Host struct {
	// As returns a client that acts as a user.
	As func(context.Context, user.Info) (client.Client, error)
	// Reviewer creates access reviews.
	Reviewer *authorization.Reviewer
}

// Client reads and writes KubeVision's objects as the caller, with the rights that the RBAC of the host grants the
// caller.
type Client struct {
	user.Info
	client.Client

	reviewer *authorization.Reviewer
}

// Connect returns a Client for the caller of a request.
func (h *Host) Connect(r *routes.Request, u user.Info) (*Client, error) {
	c, err := h.As(r.Context(), u)
	if err != nil {
		return nil, err
	}
	return &Client{Info: u, Client: c, reviewer: h.Reviewer}, nil
}

// Named returns a function that checks the name of an object in the path parameter, and then calls connect.
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

// Find reads an object as the caller. It returns the error missing if the object does not exist.
func (c *Client) Find(ctx context.Context, name string, into client.Object, missing *envelope.Error) error {
	err := c.Get(ctx, types.NamespacedName{Name: name}, into)
	switch {
	case apierrors.IsNotFound(err):
		return missing.WithCause(err)
	case err != nil:
		return envelope.FromAPIError(err)
	default:
		return nil
	}
}

// WriteError returns the error of a failed write, with its code. If RBAC allows each of the actions, an admission
// plugin has refused the write: the code is 42201, unless a policy of KubeVision requires a right.
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

// WriteErrorFor returns a function that converts the errors of writes that require several rights.
func (c *Client) WriteErrorFor(actions ...authorizationv1.ResourceAttributes) func(context.Context, error) error {
	return func(ctx context.Context, err error) error { return c.WriteError(ctx, err, actions...) }
}

// SecretAction returns the attributes of a verb on a Secret in KubeVision's namespace.
func SecretAction(verb, name string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{Version: "v1", Resource: "secrets", Verb: verb,
		Namespace: names.Namespace, Name: name}
}

// Action returns the attributes of a verb on one of KubeVision's own objects.
func Action(verb, resource, name string) authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{Group: kubevisionv1alpha1.GroupName, Resource: resource, Verb: verb,
		Name: name}
}

// CheckVersion returns an error if the version in a request differs from the version of the object. An empty version
// matches any object.
func CheckVersion(given string, object client.Object) error {
	if given != "" && given != object.GetResourceVersion() {
		return envelope.New(dashboardv1alpha1.CodeStale, "%q was changed in the meantime: read it again",
			object.GetName())
	}
	return nil
}

// List returns a result with the items and their number. Its data is an empty array, and never null, if there are no
// items.
func List[T any](items []T) routes.Result {
	if items == nil {
		items = []T{}
	}
	return routes.Result{Data: items, Meta: dashboardv1alpha1.Meta{Total: new(int64(len(items)))}}
}
