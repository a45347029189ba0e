// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package podaccess reviews whether a caller may create a subresource of a Pod, such as exec, attach or portforward.
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

// Path is the path of a Pod below the root of the API.
const Path = "/clusters/{cluster}/namespaces/{namespace}/pods/{name}"

// Docs returns the documentation of the path parameters of Path.
func Docs() map[string]string {
	return map[string]string{
		objectref.Namespace: objectref.Docs()[objectref.Namespace], objectref.Name: "the name of the Pod",
	}
}

// Access contains the connection of a user to a cluster, and the request with which the user creates a subresource of a
// Pod, such as exec or portforward. The method Review checks whether the user may create the subresource. The request
// must not be sent before Review has succeeded.
type Access struct {
	Caller  *clusters.Client
	User    user.Info
	Cluster string
	// Call is the request for the subresource, for example exec. RBAC requires the verb create for it. Call.Query may
	// be changed before the request is sent.
	Call clusters.Call

	authorization *authorization.Access
	proof         func() error
}

// Attributes returns the ResourceAttributes of a SubjectAccessReview for the verb create on the subresource. A request
// that opens a WebSocket may be a GET, and older versions of kube-apiserver require only the verb get for a GET.
// Attributes requires create for all requests.
func (a *Access) Attributes() authorizationv1.ResourceAttributes {
	return authorizationv1.ResourceAttributes{
		Namespace: a.Call.Namespace, Verb: "create", Version: "v1", Resource: "pods",
		Subresource: a.Call.Subresource, Name: a.Call.Name,
	}
}

// Find returns the Access to a subresource of the Pod in the path of r. Before the returned Access is used, its method
// Review must succeed.
func Find(r *routes.Request, u user.Info, access *authorization.Access, subresource string) (*Access, error) {
	return FindPod(r, u, access, r.Path(objectref.Namespace), r.Path(objectref.Name), subresource)
}

// FindPod returns the Access to a subresource of the Pod namespace/name. Before the returned Access is used, its method
// Review must succeed.
func FindPod(
	r *routes.Request, u user.Info, access *authorization.Access, namespace, name, subresource string,
) (*Access, error) {
	caller, err := access.Cluster(r, u)
	if err != nil {
		return nil, err
	}
	target, err := objectref.Find(r.Context(), caller, "get", "pods", namespace, name)
	if err != nil {
		return nil, err
	}
	inbound := r.Context()
	a := &Access{
		Caller: caller, User: u, Cluster: r.Path(authorization.ClusterParameter), Call: target.Call(http.MethodPost),
		authorization: access, proof: func() error { return stepup.Require(inbound) },
	}
	a.Call.Subresource = subresource
	return a, nil
}

// Review returns an error if the user may not create the subresource. It also returns an error if creating the
// subresource requires a one-time code of the user's second factor, and the user's request contains no valid code.
func (a *Access) Review(ctx context.Context) error {
	if err := authorization.Require(ctx, a.Caller, a.Attributes()); err != nil {
		return err
	}
	return a.Caller.Prove(ctx, a.Call)
}

// Check repeats the access review for an open stream. It returns an error if the user may no longer use the cluster or
// create the subresource.
func (a *Access) Check(ctx context.Context) error {
	caller, err := a.authorization.ClusterByName(ctx, a.User, a.Cluster)
	if err != nil {
		return err
	}
	return authorization.Require(ctx, caller, a.Attributes())
}

// WithProof returns a context for calls to the cluster. With this context, the calls use the one-time code of the
// request that opened the stream. The code remains usable after the end of that request.
func (a *Access) WithProof(ctx context.Context) context.Context {
	return stepup.WithProof(ctx, a.proof)
}

// CallError converts err to an error with a code for the client. The parameter err is the error of the request that
// creates the subresource of the Pod, such as exec.
func (a *Access) CallError(ctx context.Context, err error) error {
	if refused, ok := errors.AsType[*clusters.UpgradeRefusedError](err); ok {
		return envelope.New(dashboardv1alpha1.CodeUnreachable, "%s", refused.Error()).WithCause(err)
	}
	return authorization.CallError(ctx, a.Caller, a.Attributes(), err)
}
