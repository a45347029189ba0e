// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package authorization asks Kubernetes whether a caller may do something. It makes no decision of its own, and an
// error is a denial.
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
	// reviewTimeout bounds a review including all attempts of the client. kube-apiserver responds from memory.
	reviewTimeout = 2 * time.Second
	// maxReviewPause bounds the time without reviews after reviews without a response.
	maxReviewPause = 2 * time.Second
)

// ErrHostUnavailable is returned if the host cluster does not respond to a review in time.
var ErrHostUnavailable = errors.New("the API server of the host cluster does not respond")

// Reviewer makes access reviews on the host cluster.
type Reviewer struct {
	reviews authorizationclient.SubjectAccessReviewInterface
	circuit circuitbreaker.Breaker
}

// NewReviewer returns a reviewer that uses a client.
func NewReviewer(client authorizationclient.SubjectAccessReviewsGetter) *Reviewer {
	return &Reviewer{
		reviews: client.SubjectAccessReviews(),
		circuit: circuitbreaker.Breaker{Clock: clock.RealClock{}, MaxPause: maxReviewPause},
	}
}

// MayUseCluster returns true if the user may use a cluster. An empty name means every cluster.
func (r *Reviewer) MayUseCluster(ctx context.Context, u user.Info, cluster string) (bool, error) {
	return r.Allowed(ctx, u, use(cluster))
}

// use returns the attributes of a review about the use of a cluster.
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

// Allowed returns true if the host cluster allows a request of the user.
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

// ask makes a review within reviewTimeout. It returns ErrHostUnavailable if there is no response.
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
	case err == nil, isRefusal(err):
		outcome = circuitbreaker.Answered
		return answer, err //nolint:wrapcheck // the caller wraps it
	case ctx.Err() != nil: // the caller gave up, which says nothing about the host
		return nil, err //nolint:wrapcheck // the caller wraps it
	default:
		outcome = circuitbreaker.Failed
		return nil, fmt.Errorf("%w: %w", ErrHostUnavailable, err)
	}
}

// isRefusal returns true if an error is the response of an API server that works.
func isRefusal(err error) bool {
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
