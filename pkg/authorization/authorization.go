// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package authorization checks the rights of users with the access reviews of Kubernetes, and converts denials to
// errors with codes of the API. For example, it finds the clusters that a user may use and the namespaces that a user
// may read. It makes no decision itself. Callers must treat an error as a denial.
package authorization

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/utils/clock"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization/accessreview"
	"github.com/kubevision-io/kubevision/pkg/circuitbreaker"
)

const (
	// reviewTimeout bounds the time for an access review, including the retries of the client. It is short, because the
	// RBAC authorizer of kube-apiserver reads only its caches.
	reviewTimeout = 2 * time.Second
	// maxReviewPause bounds the pauses of the circuit breaker. The breaker opens if the host cluster does not respond
	// to several reviews. During a pause, no review is sent, and all reviews fail at once.
	maxReviewPause = 2 * time.Second
)

// ErrHostUnavailable is returned if the host cluster does not respond to an access review within reviewTimeout, or
// responds with the status 429 or a status of at least 500. It is also returned while the circuit breaker is open.
var ErrHostUnavailable = errors.New("the API server of the host cluster does not respond")

// Reviewer sends SubjectAccessReviews to the host cluster.
type Reviewer struct {
	reviews authorizationclient.SubjectAccessReviewInterface
	circuit circuitbreaker.Breaker
}

// NewReviewer returns a Reviewer that uses the client.
func NewReviewer(client authorizationclient.SubjectAccessReviewsGetter) *Reviewer {
	return &Reviewer{
		reviews: client.SubjectAccessReviews(),
		circuit: circuitbreaker.Breaker{Clock: clock.RealClock{}, MaxPause: maxReviewPause},
	}
}

// MayUseCluster returns true if the RBAC of the host cluster allows the user the verb "use" on the KubeVisionCluster.
// An empty name means all clusters.
func (r *Reviewer) MayUseCluster(ctx context.Context, u user.Info, cluster string) (bool, error) {
	return r.Allowed(ctx, u, use(cluster))
}

// use returns the attributes of an access review for the verb "use" on a KubeVisionCluster.
func use(cluster string) *authorizationv1.ResourceAttributes {
	return &authorizationv1.ResourceAttributes{
		Group: kubevisionv1alpha1.GroupName, Resource: kubevisionv1alpha1.ResourceClusters,
		Verb: kubevisionv1alpha1.VerbUse, Name: cluster,
	}
}

// MayListClusters returns true if the user may list KubeVisionClusters.
func (r *Reviewer) MayListClusters(ctx context.Context, u user.Info) (bool, error) {
	return r.Allowed(ctx, u, &authorizationv1.ResourceAttributes{
		Group: kubevisionv1alpha1.GroupName, Resource: kubevisionv1alpha1.ResourceClusters, Verb: "list",
	})
}

// MayGetCluster returns true if the user may get a KubeVisionCluster.
func (r *Reviewer) MayGetCluster(ctx context.Context, u user.Info, cluster string) (bool, error) {
	return r.Allowed(ctx, u, &authorizationv1.ResourceAttributes{
		Group: kubevisionv1alpha1.GroupName, Resource: kubevisionv1alpha1.ResourceClusters, Verb: "get", Name: cluster,
	})
}

// Allowed sends a SubjectAccessReview for the user and the attributes, and returns true if the host cluster allows the
// request. Callers must treat an error as a denial.
func (r *Reviewer) Allowed(
	ctx context.Context, u user.Info, attributes *authorizationv1.ResourceAttributes,
) (bool, error) {
	question := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: attributes,
		User:               u.GetName(),
		UID:                u.GetUID(),
		Groups:             u.GetGroups(),
		Extra:              convertExtra(u.GetExtra()),
	}}
	answer, err := r.ask(ctx, question)
	if err != nil {
		return false, fmt.Errorf("reviewing access to %s: %w", attributes.Resource, err)
	}
	return accessreview.Allows(answer.Status)
}

// ask sends the SubjectAccessReview, and returns the response. It returns ErrHostUnavailable if the host cluster is not
// available, or while the circuit breaker is open.
func (r *Reviewer) ask(
	ctx context.Context, question *authorizationv1.SubjectAccessReview,
) (*authorizationv1.SubjectAccessReview, error) {
	leave, err := r.circuit.Enter()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHostUnavailable, err)
	}
	outcome := circuitbreaker.Unknown
	defer func() { leave(outcome) }()
	bounded, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	answer, err := r.reviews.Create(bounded, question, metav1.CreateOptions{})
	switch {
	case err == nil, isFromAvailableServer(err):
		outcome = circuitbreaker.Answered
		return answer, err //nolint:wrapcheck // the caller wraps it
	case ctx.Err() != nil: // the caller has cancelled the request, which does not mean that the host is unavailable
		return nil, err //nolint:wrapcheck // the caller wraps it
	default:
		outcome = circuitbreaker.Failed
		return nil, fmt.Errorf("%w: %w", ErrHostUnavailable, err)
	}
}

// isFromAvailableServer returns true if err is the response of an available API server. An overloaded or failed server
// responds with the status 429 or with a status of at least 500.
func isFromAvailableServer(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code < http.StatusInternalServerError && code != http.StatusTooManyRequests
}

func convertExtra(in map[string][]string) map[string]authorizationv1.ExtraValue {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]authorizationv1.ExtraValue, len(in))
	for k, v := range in {
		out[k] = v
	}
	return out
}
