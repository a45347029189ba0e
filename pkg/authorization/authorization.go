// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package authorization asks Kubernetes whether a caller may do something. It makes no decision of its own, and an
// error is a denial.
package authorization

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization/accessreview"
)

// Reviewer makes access reviews on the host cluster.
type Reviewer struct {
	reviews authorizationclient.SubjectAccessReviewInterface
}

// NewReviewer returns a reviewer that uses a client.
func NewReviewer(client authorizationclient.SubjectAccessReviewsGetter) *Reviewer {
	return &Reviewer{reviews: client.SubjectAccessReviews()}
}

// MayUseCluster returns true if the user may use a cluster. An empty name means every cluster.
func (r *Reviewer) MayUseCluster(ctx context.Context, u user.Info, cluster string) (bool, error) {
	return r.Allowed(ctx, u, &authorizationv1.ResourceAttributes{
		Group: kubevisionv1alpha1.GroupName, Resource: kubevisionv1alpha1.ResourceClusters, Verb: kubevisionv1alpha1.VerbUse, Name: cluster,
	})
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
func (r *Reviewer) Allowed(ctx context.Context, u user.Info, attributes *authorizationv1.ResourceAttributes) (bool, error) {
	question := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		ResourceAttributes: attributes,
		User:               u.GetName(),
		UID:                u.GetUID(),
		Groups:             u.GetGroups(),
		Extra:              convertExtra(u.GetExtra()),
	}}
	answer, err := r.reviews.Create(ctx, question, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("reviewing access to %s: %w", attributes.Resource, err)
	}
	return accessreview.Allows(answer.Status)
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
