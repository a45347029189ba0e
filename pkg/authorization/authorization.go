// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package authorization asks Kubernetes whether a caller may do something. It never answers itself, and an error is a denial.
package authorization

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization/review"
)

// VerbUse is the verb on kubevisionclusters that lets somebody use a cluster through the dashboard.
const VerbUse = "use"

// Reviewer asks the host cluster.
type Reviewer struct {
	reviews authorizationclient.SubjectAccessReviewInterface
}

// NewReviewer makes a reviewer that asks with the rights of that client.
func NewReviewer(client authorizationclient.SubjectAccessReviewsGetter) *Reviewer {
	return &Reviewer{reviews: client.SubjectAccessReviews()}
}

// MayUseCluster says whether the user may use the cluster of that name; an empty name means every cluster.
func (r *Reviewer) MayUseCluster(ctx context.Context, u user.Info, cluster string) (bool, error) {
	return r.Allowed(ctx, u, &authorizationv1.ResourceAttributes{
		Group: kubevisionv1alpha1.GroupName, Resource: kubevisionv1alpha1.ResourceClusters, Verb: VerbUse, Name: cluster,
	})
}

// MayListClusters says whether the user may list the KubeVisionCluster objects.
func (r *Reviewer) MayListClusters(ctx context.Context, u user.Info) (bool, error) {
	return r.Allowed(ctx, u, &authorizationv1.ResourceAttributes{
		Group: kubevisionv1alpha1.GroupName, Resource: kubevisionv1alpha1.ResourceClusters, Verb: "list",
	})
}

// MayGetCluster says whether the user may get the KubeVisionCluster object of that name.
func (r *Reviewer) MayGetCluster(ctx context.Context, u user.Info, cluster string) (bool, error) {
	return r.Allowed(ctx, u, &authorizationv1.ResourceAttributes{
		Group: kubevisionv1alpha1.GroupName, Resource: kubevisionv1alpha1.ResourceClusters, Verb: "get", Name: cluster,
	})
}

// Allowed says whether the user may do that on the host cluster.
func (r *Reviewer) Allowed(ctx context.Context, u user.Info, attributes *authorizationv1.ResourceAttributes) (bool, error) {
	question := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: attributes,
		User:               u.GetName(),
		UID:                u.GetUID(),
		Groups:             u.GetGroups(),
		Extra:              extra(u.GetExtra()),
	}}
	answer, err := r.reviews.Create(ctx, question, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("reviewing access to %s: %w", attributes.Resource, err)
	}
	return review.Allows(answer.Status)
}

func extra(in map[string][]string) map[string]authorizationv1.ExtraValue {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]authorizationv1.ExtraValue, len(in))
	for k, v := range in {
		out[k] = v
	}
	return out
}
