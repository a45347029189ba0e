// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package user

import (
	"context"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/envelope"
	"github.com/kubevision-io/kubevision/pkg/authentication"
	"github.com/kubevision-io/kubevision/pkg/bindings"
)

// directory finds the roles of many users.
type directory struct {
	grants []grant
}

// grant is what one binding amounts to on the host, and for whom.
type grant struct {
	subjects []rbacv1.Subject
	weight   int
}

func newDirectory(
	users []kubevisionv1alpha1.KubeVisionUser, all []kubevisionv1alpha1.KubeVisionRoleBinding, clusters []kubevisionv1alpha1.KubeVisionCluster,
) *directory {
	index, hosts := bindings.IndexUsers(users), hostsOf(clusters)
	d := &directory{}
	for i := range all {
		if w := weight(&all[i], hosts); w > 0 && all[i].DeletionTimestamp.IsZero() {
			subjects, _ := bindings.Subjects(all[i].Spec.Subjects, index)
			d.grants = append(d.grants, grant{subjects: subjects, weight: w})
		}
	}
	return d
}

// role is the display role of a user.
func (d *directory) role(u *kubevisionv1alpha1.KubeVisionUser) string {
	p, best := authentication.NewPrincipal(u), 0
	for _, g := range d.grants {
		if g.weight > best && bindings.Names(g.subjects, p.GetName(), p.GetGroups()) {
			best = g.weight
		}
	}
	return rank()[best]
}

// administered says whether any of the users may log in and is a super-admin.
func (d *directory) administered(users []kubevisionv1alpha1.KubeVisionUser) bool {
	return slices.ContainsFunc(users, func(u kubevisionv1alpha1.KubeVisionUser) bool {
		return !u.Spec.Disabled && u.DeletionTimestamp.IsZero() && d.role(&u) == roleSuperAdmin
	})
}

// directory is what the caller may know of the roles of users: nothing, where the caller may not list role bindings.
func (e *Endpoints) directory(ctx context.Context, a *administrator, users []kubevisionv1alpha1.KubeVisionUser) (*directory, error) {
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	err := a.List(ctx, &all)
	if apierrors.IsForbidden(err) {
		return nil, nil //nolint:nilnil // no directory is what the caller may know
	}
	if err != nil {
		return nil, envelope.FromAPIError(err)
	}
	var clusters kubevisionv1alpha1.KubeVisionClusterList
	if err := e.Reader.List(ctx, &clusters, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	return newDirectory(users, all.Items, clusters.Items), nil
}

// world is all users and what binds them.
type world struct {
	users    []kubevisionv1alpha1.KubeVisionUser
	bindings []kubevisionv1alpha1.KubeVisionRoleBinding
}

// keepAdministrator refuses a change after which nobody could log in who is a super-admin, where there is somebody now. Only kubectl could mend
// that. It asks the API server rather than a copy, which may not have seen the change before.
func (e *Endpoints) keepAdministrator(ctx context.Context, change func(*world)) error {
	var users kubevisionv1alpha1.KubeVisionUserList
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	var clusters kubevisionv1alpha1.KubeVisionClusterList
	for _, list := range []client.ObjectList{&users, &all, &clusters} {
		if err := e.Live.List(ctx, list); err != nil {
			return fmt.Errorf("looking for administrators: %w", err)
		}
	}
	w := &world{users: users.Items, bindings: all.Items}
	if !newDirectory(w.users, w.bindings, clusters.Items).administered(w.users) {
		return nil
	}
	change(w)
	if newDirectory(w.users, w.bindings, clusters.Items).administered(w.users) {
		return nil
	}
	return envelope.New(dashboardv1alpha1.CodeConflict, "this is the last user who can log in and administer KubeVision: make another one first")
}
