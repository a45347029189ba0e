// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package users

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
)

// builtIn returns the built-in role of KubeVision for a dashboard role, for example "dev" for the dashboard role
// "editor". It returns an empty string for "custom", because no built-in role corresponds to this dashboard role.
func builtIn(role string) string {
	switch role {
	case roleSuperAdmin:
		return kubevisionv1alpha1.RoleAdmin
	case roleAdmin:
		return kubevisionv1alpha1.RoleOps
	case roleEditor:
		return kubevisionv1alpha1.RoleDev
	case roleViewer:
		return kubevisionv1alpha1.RoleReadonly
	default:
		return ""
	}
}

func checkRole(role string) error {
	if !slices.Contains(displayRoles(), role) {
		return envelope.Invalid("role", "role must be one of %v", displayRoles())
	}
	return nil
}

// newGrant returns a binding that grants u a dashboard role on every cluster. The owner of the binding is u.
func newGrant(u *kubevisionv1alpha1.KubeVisionUser, role string) *kubevisionv1alpha1.KubeVisionRoleBinding {
	return &kubevisionv1alpha1.KubeVisionRoleBinding{
		ObjectMeta: metav1.ObjectMeta{
			Name: names.UserGrant(u.Name), Labels: map[string]string{names.UserLabel: u.Name},
			OwnerReferences: kubevisionv1alpha1.OwnerReferences(kubevisionv1alpha1.KindUser, u),
		},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			Subjects: []kubevisionv1alpha1.Subject{{Kind: kubevisionv1alpha1.SubjectKubeVisionUser, Name: u.Name}},
			RoleRef:  kubevisionv1alpha1.RoleReference{Kind: kubevisionv1alpha1.RoleKubeVision, Name: builtIn(role)},
			Clusters: kubevisionv1alpha1.ClusterTargets{Selector: &metav1.LabelSelector{}},
		},
	}
}

// findGrant gets the binding with the name that newGrant chooses for u. It returns nil if there is no such binding. If
// the binding lacks the label or the owner reference that newGrant sets, findGrant returns an error with CodeConflict.
func (a *administrator) findGrant(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser,
) (*kubevisionv1alpha1.KubeVisionRoleBinding, error) {
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{}
	err := a.Get(ctx, types.NamespacedName{Name: names.UserGrant(u.Name)}, b)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // there is no such binding
	case err != nil:
		return nil, envelope.FromAPIError(err)
	case b.Labels[names.UserLabel] != u.Name || !hostobjects.IsOwnedBy(b, u):
		return nil, envelope.New(dashboardv1alpha1.CodeConflict,
			"the role binding %q exists and does not belong to the user's role: change or remove it", b.Name)
	default:
		return b, nil
	}
}

func (e *Provider) changeRole(
	ctx context.Context, a *administrator, u *kubevisionv1alpha1.KubeVisionUser, role string,
) (*hostobjects.Step, error) {
	d, err := e.readDirectory(ctx, a, []kubevisionv1alpha1.KubeVisionUser{*u})
	if err != nil {
		return nil, envelope.FromAPIError(err)
	}
	if d.role(u) == role {
		return nil, nil //nolint:nilnil // there is nothing to do
	}
	made, err := a.findGrant(ctx, u)
	if err != nil {
		return nil, err
	}
	if others := d.conflictingBindings(u, role, made != nil); len(others) > 0 {
		return nil, envelope.New(dashboardv1alpha1.CodeConflict,
			"other role bindings grant rights to user %q: %s; change these, or the groups of the user",
			u.Name, joinNames(others))
	}
	return a.changeGrant(u, made, role), nil
}

func (d *directory) conflictingBindings(u *kubevisionv1alpha1.KubeVisionUser, role string, hasGrant bool) []string {
	own, asked := names.UserGrant(u.Name), slices.Index(displayRoles(), role)
	var out []string
	// A higher role in another binding would remain in force. Without a binding from newGrant, an administrator manages
	// the rights of u in other bindings, and must change these.
	for _, g := range d.grantsOf(u) {
		if g.binding != own && (!hasGrant || g.rank > asked) {
			out = append(out, g.binding)
		}
	}
	return out
}

// maxListed bounds the number of names in a message.
const maxListed = 10

func joinNames(all []string) string {
	slices.Sort(all)
	if len(all) > maxListed {
		return strings.Join(all[:maxListed], ", ") + fmt.Sprintf(" and %d more", len(all)-maxListed)
	}
	return strings.Join(all, ", ")
}

// createGrant returns the step that creates a role binding. The role binding grants the given role to u.
func (a *administrator) createGrant(u *kubevisionv1alpha1.KubeVisionUser, role string) hostobjects.Step {
	return hostobjects.Create("role binding "+names.UserGrant(u.Name), func() client.Object {
		// newGrant must not be called earlier. It reads the UID of u, and a previous step may create u.
		return newGrant(u, role)
	},
		a.WriteErrorFor(hostobjects.Action("create", kubevisionv1alpha1.ResourceRoleBindings, "")))
}

func (a *administrator) changeGrant(
	u *kubevisionv1alpha1.KubeVisionUser, binding *kubevisionv1alpha1.KubeVisionRoleBinding, role string,
) *hostobjects.Step {
	step := hostobjects.Step{Object: "role binding " + names.UserGrant(u.Name)}
	switch {
	case binding == nil && role == roleCustom:
		return nil
	case binding == nil:
		step = a.createGrant(u, role)
	case role == roleCustom: // no built-in role corresponds to it
		step.Do = func(ctx context.Context, c client.Client) error {
			err := c.Delete(ctx, binding, hostobjects.UIDPrecondition(binding))
			return a.WriteError(ctx, client.IgnoreNotFound(err),
				hostobjects.Action("delete", kubevisionv1alpha1.ResourceRoleBindings, binding.Name))
		}
	default:
		step.Do = func(ctx context.Context, c client.Client) error {
			changed := binding.DeepCopy()
			changed.Spec = newGrant(u, role).Spec
			err := c.Patch(ctx, changed, client.MergeFrom(binding))
			return a.WriteError(ctx, err,
				hostobjects.Action("patch", kubevisionv1alpha1.ResourceRoleBindings, binding.Name))
		}
	}
	return &step
}
