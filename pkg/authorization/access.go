// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package authorization

import (
	"context"
	"errors"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// ClusterParameter is the path parameter that contains the name of a KubeVisionCluster.
const ClusterParameter = "cluster"

// Verdicts caches the results of access reviews. verdicts.Cache implements it.
type Verdicts interface {
	// Reviewed returns true if the user may send the request to the cluster. The attributes describe the request.
	// Reviewed returns a cached result if the result is at most a few seconds old and no RBAC object of the cluster has
	// changed since. If there is no such result, it calls review().
	Reviewed(
		ctx context.Context, cluster *clusters.Connection, u user.Info, attributes authorizationv1.ResourceAttributes,
		review func(context.Context) (bool, error),
	) (bool, error)
}

// Access checks that users may use clusters, and creates clients that impersonate these users.
type Access struct {
	// Verdicts caches the results of access reviews for the verb "use" on KubeVisionClusters. If Verdicts is nil, each
	// check sends a review.
	Verdicts    Verdicts
	Reviewer    *Reviewer
	Connections *clusters.Connections
	// Wrote is called after each successful request of a user that may have changed objects. It may be nil.
	Wrote func(caller *clusters.Client, call clusters.Call, answer clusters.Response)
}

// Cluster is the access check of all routes below /clusters/{cluster}. The returned client impersonates the user on
// this cluster. A user who may not use the cluster gets the same error whether or not the cluster exists.
func (a *Access) Cluster(r *routes.Request, u user.Info) (*clusters.Client, error) {
	name := r.Path(ClusterParameter)
	caller, err := a.ClusterByName(r.Context(), u, name)
	// The name comes from the URL, so a client can send any number of names. Only the name of a registered cluster is
	// recorded, because each recorded name becomes a label value of metrics.
	if s := envelope.StateFrom(r.Context()); s != nil && isRegistered(err) {
		s.SetCluster(name)
	}
	return caller, err
}

func isRegistered(err error) bool {
	// err is the result of ClusterByName, which returns these two errors only for registered clusters.
	return err == nil || errors.Is(err, clusters.ErrNotConnected) || errors.Is(err, clusters.ErrNobodyToActAs)
}

// ClusterByName is like Cluster, but takes the name of the cluster as an argument.
func (a *Access) ClusterByName(ctx context.Context, u user.Info, name string) (*clusters.Client, error) {
	if err := routes.CheckSubdomain(ClusterParameter, name); err != nil {
		return nil, err
	}
	if err := a.checkUse(ctx, u, name); err != nil {
		return nil, err
	}
	connection, err := a.Connections.Get(ctx, name)
	switch {
	case errors.Is(err, clusters.ErrNotRegistered):
		return nil, NewClusterNotFound(name)
	case errors.Is(err, clusters.ErrIdentityConflict):
		return nil, envelope.New(dashboardv1alpha1.CodeUnreachable,
			"cluster %q is disabled: another registration claims to be the same cluster (IdentityConflict)",
			name).WithCause(err)
	case errors.Is(err, clusters.ErrNotConnected):
		return nil, envelope.New(dashboardv1alpha1.CodeUnreachable,
			"cluster %q is registered, but there is no connection to it", name).WithCause(err)
	case err != nil:
		return nil, err
	}
	caller, err := connection.As(ctx, u)
	if err != nil {
		return nil, explainNobodyToActAs(err, fmt.Sprintf("cluster %q", name))
	}
	if a.Wrote != nil {
		caller.OnWrite(func(call clusters.Call, answer clusters.Response) { a.Wrote(caller, call, answer) })
	}
	return caller, nil
}

func (a *Access) checkUse(ctx context.Context, u user.Info, name string) error {
	review := func(ctx context.Context) (bool, error) { return a.Reviewer.MayUseCluster(ctx, u, name) }
	if a.Verdicts == nil {
		return toUseError(name)(review(ctx))
	}
	return toUseError(name)(a.Verdicts.Reviewed(ctx, a.Connections.Host(), u, *use(name), review))
}

// CheckUse returns an error if the user may not use the cluster. The error is the same whether or not the cluster
// exists.
func (r *Reviewer) CheckUse(ctx context.Context, u user.Info, cluster string) error {
	return toUseError(cluster)(r.MayUseCluster(ctx, u, cluster))
}

// toUseError returns a function that converts the result of an access review of the verb "use" to an error. If the user
// may use the cluster, the error is nil. If not, the error has the code CodeClusterForbidden.
func toUseError(cluster string) func(allowed bool, err error) error {
	return func(allowed bool, err error) error {
		if err != nil {
			return NewReviewFailed(err)
		}
		if !allowed {
			return envelope.New(dashboardv1alpha1.CodeClusterForbidden, "you may not use cluster %q", cluster)
		}
		return nil
	}
}

// NewClusterNotFound returns the error for a cluster that is not registered. The error reveals that the cluster does
// not exist. Therefore, it must be returned only to users who may use clusters of this name.
func NewClusterNotFound(name string) *envelope.Error {
	return envelope.New(dashboardv1alpha1.CodeClusterNotFound, "there is no cluster %q", name)
}

// MayRead returns true if the cluster allows the caller to get the Namespace.
func MayRead(ctx context.Context, caller *clusters.Client, namespace string) (bool, error) {
	return caller.Allowed(ctx, authorizationv1.ResourceAttributes{
		Version: "v1", Resource: "namespaces", Verb: "get", Namespace: namespace, Name: namespace,
	})
}

// HostAs returns a function that creates a client of the host cluster. The client impersonates the user whom the
// function gets as an argument.
func HostAs(connections *clusters.Connections) func(context.Context, user.Info) (client.Client, error) {
	return func(ctx context.Context, u user.Info) (client.Client, error) {
		c, err := connections.HostAs(ctx, u)
		return c, explainNobodyToActAs(err, "the host cluster")
	}
}

// explainNobodyToActAs converts clusters.ErrNobodyToActAs to an error with a message: KubeVision may not impersonate
// the caller, because no role binding names the caller. Other errors remain unchanged.
func explainNobodyToActAs(err error, clusterText string) error {
	if errors.Is(err, clusters.ErrNobodyToActAs) {
		return envelope.New(dashboardv1alpha1.CodeForbidden,
			"no role binding names you or one of your groups, so KubeVision may not act for you on %s",
			clusterText).WithCause(err)
	}
	return err
}

// NewReviewFailed returns the error for an access review that failed. It has the code 50200, which differs from the
// codes of a denial.
func NewReviewFailed(err error) error {
	message := "your permissions could not be checked"
	if errors.Is(err, ErrHostUnavailable) {
		message += ", because the API server of the host cluster does not respond: try again shortly"
	} else if why, ok := envelope.ServerFailure(err); ok {
		message += ": " + why
	}
	return envelope.New(dashboardv1alpha1.CodeUnreachable, "%s", message).WithCause(err)
}

// CallError converts err to an error with a code of KubeVision's API. err is the error of a request to a cluster, and
// the attributes describe the request. If the cluster has denied the request with the status 403, CallError sends
// access reviews to find the reason. It sends none if the response already shows the reason. The possible reasons are:
//
//   - KubeVision does not have the right to impersonate the user yet.
//   - RBAC allows the request, but another part of kube-apiserver, such as an admission plugin, has rejected it.
//   - The user may not get the namespace.
//   - The user may get the namespace, but may not send the request.
func CallError(
	ctx context.Context, caller *clusters.Client, attributes authorizationv1.ResourceAttributes, err error,
) error {
	if err == nil {
		return nil
	}
	if known := envelope.FromAPIError(err); known.Code != dashboardv1alpha1.CodeForbidden || envelope.LacksRight(err) {
		return known
	}
	allowed, reviewErr := caller.Allowed(ctx, attributes)
	switch {
	case apierrors.IsForbidden(reviewErr):
		return bindingNotApplied(err)
	case reviewErr != nil:
		return NewReviewFailed(errors.Join(reviewErr, err))
	case allowed:
		return envelope.New(dashboardv1alpha1.CodeRejected, "%s", statusMessage(err)).WithCause(err)
	case attributes.Namespace == "":
		return envelope.FromAPIError(err)
	}
	visible, reviewErr := MayRead(ctx, caller, attributes.Namespace)
	if reviewErr != nil {
		return NewReviewFailed(errors.Join(reviewErr, err))
	}
	if !visible {
		return envelope.New(dashboardv1alpha1.CodeNamespaceForbidden,
			"you may not %s in namespace %q, and you may not get the namespace",
			describeAttributes(attributes), attributes.Namespace).WithCause(err)
	}
	return envelope.FromAPIError(err)
}

// describeAttributes describes a request for an error message, for example: delete pods "web".
func describeAttributes(a authorizationv1.ResourceAttributes) string {
	kind := schema.GroupResource{Group: a.Group, Resource: a.Resource}.String()
	if a.Subresource != "" {
		kind += "/" + a.Subresource
	}
	if a.Name != "" {
		return fmt.Sprintf("%s %s %q", a.Verb, kind, a.Name)
	}
	return a.Verb + " " + kind
}

func statusMessage(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return status.Status().Message
	}
	return "the cluster's API server refused the request"
}
