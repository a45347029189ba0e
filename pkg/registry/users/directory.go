// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// directory contains all bindings, to determine the dashboard roles of users.
type directory struct {
	grants []grant
}

// grant contains the properties of a KubeVisionRoleBinding that determine the dashboard roles of users.
type grant struct {
	// binding is the name of the KubeVisionRoleBinding.
	binding string
	// subjects contains the users and groups that the binding names, as RBAC subjects.
	subjects []rbacv1.Subject
	// rank is an index in displayRoles. It represents the dashboard role that the binding grants on the host cluster.
	rank int
}

func newDirectory(
	users []kubevisionv1alpha1.KubeVisionUser, all []kubevisionv1alpha1.KubeVisionRoleBinding,
	clusters []kubevisionv1alpha1.KubeVisionCluster,
) *directory {
	index, hosts := bindings.IndexUsers(users), hostsOf(clusters)
	d := &directory{}
	for i := range all {
		if all[i].DeletionTimestamp.IsZero() {
			subjects, _ := bindings.Subjects(all[i].Spec.Subjects, index)
			d.grants = append(d.grants, grant{binding: all[i].Name, subjects: subjects,
				rank: displayRank(&all[i], hosts)})
		}
	}
	return d
}

// grantsOf returns the grants that name u or a group of u.
func (d *directory) grantsOf(u *kubevisionv1alpha1.KubeVisionUser) []grant {
	p := authentication.NewPrincipal(u)
	var out []grant
	for _, g := range d.grants {
		if bindings.ContainsUser(g.subjects, p.GetName(), p.GetGroups()) {
			out = append(out, g)
		}
	}
	return out
}

// role returns the highest dashboard role that any binding grants to u or to a group of u.
func (d *directory) role(u *kubevisionv1alpha1.KubeVisionUser) string {
	best := 0
	for _, g := range d.grantsOf(u) {
		best = max(best, g.rank)
	}
	return displayRoles()[best]
}

// directory reads the bindings that determine the dashboard roles of the given users. It returns nil if the caller may
// not list KubeVisionRoleBindings.
func (e *Provider) directory(
	ctx context.Context, a *administrator, users []kubevisionv1alpha1.KubeVisionUser,
) (*directory, error) {
	d, err := e.readDirectory(ctx, a, users)
	if apierrors.IsForbidden(err) {
		return nil, nil //nolint:nilnil // the caller may not know the roles
	}
	if err != nil {
		return nil, envelope.FromAPIError(err)
	}
	return d, nil
}

// readDirectory reads the bindings that determine the dashboard roles of the given users. It lists the
// KubeVisionRoleBindings with the rights of the caller. Its error wraps the error of the API server.
func (e *Provider) readDirectory(
	ctx context.Context, a *administrator, users []kubevisionv1alpha1.KubeVisionUser,
) (*directory, error) {
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := a.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("listing role bindings: %w", err)
	}
	var clusters kubevisionv1alpha1.KubeVisionClusterList
	if err := e.Reader.List(ctx, &clusters, client.UnsafeDisableDeepCopy); err != nil {
		return nil, envelope.Internal(fmt.Errorf("listing clusters: %w", err))
	}
	return newDirectory(users, all.Items, clusters.Items), nil
}
