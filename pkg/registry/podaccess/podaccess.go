// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package podaccess reviews the right of a caller to create a subresource of a Pod: exec, attach or portforward.
package podaccess

import (
	"context"
	"errors"
	"net/http"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/stepup"
)

// Path is the path of a Pod.
const Path = "/clusters/{cluster}/namespaces/{namespace}/pods/{name}"

// Docs returns the documentation of the parameters of Path.
func Docs() map[string]string {
	return map[string]string{
		objectref.Namespace: objectref.Docs()[objectref.Namespace], objectref.Name: "the name of the Pod",
	}
}

// Grant describes the access of a caller to a subresource of a Pod: the right to create the subresource. Find does not
// review this right, so Review must be called before the call to the cluster.
type Grant struct {
	Caller  *clusters.Client
	User    user.Info
	Cluster string
	// Call is the call to the cluster. Its query may be changed.
	Call clusters.Call

	access *authorization.Access
	proof  func() error
}

// Attributes returns the resource attributes for creating the subresource. All methods of requests to the cluster
// require this right, because older API servers allow a GET to callers who may only get the subresource.
func (g *Grant) Attributes() authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{
		Namespace: g.Call.Namespace, Verb: "create", Version: "v1", Resource: "pods",
		Subresource: g.Call.Subresource, Name: g.Call.Name,
	}
}

// Find returns the grant of a caller for the Pod in the path. It does not review the right of the caller.
func Find(r *routes.Request, u user.Info, access *authorization.Access, subresource string) (*Grant, error) {
	return FindPod(r, u, access, r.Path(objectref.Namespace), r.Path(objectref.Name), subresource)
}

// FindPod is like Find, for a Pod from another part of the request.
func FindPod(
	r *routes.Request, u user.Info, access *authorization.Access, namespace, name, subresource string,
) (*Grant, error) {
	caller, err := access.Cluster(r, u)
	if err != nil {
		return nil, err
	}
	target, err := objectref.Find(r.Context(), caller, "get", "pods", namespace, name)
	if err != nil {
		return nil, err
	}
	inbound := r.Context()
	g := &Grant{
		Caller: caller, User: u, Cluster: r.Path(authorization.ClusterParameter), Call: target.Call(http.MethodPost),
		access: access, proof: func() error { return stepup.Require(inbound) },
	}
	g.Call.Subresource = subresource
	return g, nil
}

// Review returns an error unless the caller has the right and, if the Pod requires it, has sent a fresh code.
func (g *Grant) Review(ctx context.Context) error {
	if err := authorization.Require(ctx, g.Caller, g.Attributes()); err != nil {
		return err
	}
	return g.Caller.Prove(ctx, g.Call)
}

// Check reviews the right again, and returns an error if the caller has lost it.
func (g *Grant) Check(ctx context.Context) error {
	caller, err := g.access.ClusterByName(ctx, g.User, g.Cluster)
	if err != nil {
		return err
	}
	return authorization.Require(ctx, caller, g.Attributes())
}

// WithProof returns a context for the calls of a stream, which outlives the request with the fresh code.
func (g *Grant) WithProof(ctx context.Context) context.Context { return stepup.WithProof(ctx, g.proof) }

// CallError returns the error of a call to the subresource, with its code.
func (g *Grant) CallError(ctx context.Context, err error) error {
	if refused, ok := errors.AsType[*clusters.UpgradeRefusedError](err); ok {
		return envelope.New(dashboardv1alpha1.CodeUnreachable, "%s", refused.Error()).WithCause(err)
	}
	return authorization.CallError(ctx, g.Caller, g.Attributes(), err)
}
