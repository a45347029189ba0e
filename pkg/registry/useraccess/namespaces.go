// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package useraccess

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/objects"
)

// clusterTimeout bounds the time for determining the caller's access to one cluster.
const clusterTimeout = 2 * time.Second

// describeAccess returns the namespaces that the caller may read on the cluster c, and the roles of the caller there.
// If the cluster does not respond, the result has the status AccessUnreachable and no namespaces.
func (e *Provider) describeAccess(
	ctx context.Context, g *access, c *kubevisionv1alpha1.KubeVisionCluster,
) dashboardv1alpha1.ClusterAccess {
	ctx, cancel := context.WithTimeoutCause(ctx, clusterTimeout, clusters.ErrImpatient)
	defer cancel()
	bound := bindings.SelectForCluster(g.bindings, c)
	out := dashboardv1alpha1.ClusterAccess{ID: c.Name, Name: c.Name, Status: dashboardv1alpha1.AccessReachable,
		Roles: roles(bound)}
	readable, all, err := e.readable(ctx, g, c, bound)
	if err != nil {
		if !errors.Is(err, clusters.ErrNotConnected) {
			klog.FromContext(ctx).Info("The namespaces that a user may read on a cluster are unknown", "cluster",
				c.Name, "err", err)
		}
		out.Status, readable, all = dashboardv1alpha1.AccessUnreachable, nil, false
	}
	out.AllNamespaces, out.Namespaces = all, append([]string{}, readable...)
	return out
}

// readable returns the namespaces that the user may read on the cluster c. If the user may list Namespaces, it returns
// all namespaces, and true. Otherwise, it takes the namespaces to which the bindings in bound apply, and returns those
// that the user may get.
func (e *Provider) readable(
	ctx context.Context, g *access, c *kubevisionv1alpha1.KubeVisionCluster,
	bound []kubevisionv1alpha1.KubeVisionRoleBinding,
) (names []string, all bool, err error) {
	connection, err := e.Access.Connections.Get(ctx, c.Name)
	if err != nil {
		return nil, false, err
	}
	caller, err := connection.As(ctx, g)
	if errors.Is(err, clusters.ErrNobodyToActAs) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	names, err = list(ctx, caller)
	if err == nil {
		return names, true, nil
	}
	if !apierrors.IsForbidden(err) {
		return nil, false, err
	}
	names, err = authorization.ReadableNamespaces(ctx, caller, bindings.BoundNamespaces(bound, c.Name))
	return names, false, err
}

func list(ctx context.Context, caller *clusters.Client) ([]string, error) {
	namespaces := clusters.Resource{GroupVersionResource: corev1.SchemeGroupVersion.WithResource("namespaces")}
	raw, err := caller.Get(ctx, namespaces, "", "", nil)
	if err != nil {
		return nil, err
	}
	var large []string // only the names are used
	found, err := objects.Items[struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}](raw, budget.AccountFrom(ctx), func(_, name string) { large = append(large, name) })
	if err != nil {
		return nil, fmt.Errorf("reading the list of namespaces: %w", err)
	}
	names := append(make([]string, 0, len(found)+len(large)), large...)
	for i := range found {
		names = append(names, found[i].Metadata.Name)
	}
	slices.Sort(names)
	return names, nil
}

func roles(bound []kubevisionv1alpha1.KubeVisionRoleBinding) []string {
	names := sets.New[string]()
	for i := range bound {
		names.Insert(bound[i].Spec.RoleRef.Name)
	}
	return sets.List(names)
}
