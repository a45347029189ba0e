// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/credentials"
	"github.com/kubevision-io/kubevision/pkg/authentication/password"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

const adoptCredentials = `{"metadata":{"annotations":{"` + names.AdoptCredentialsAnnotation + `":""}}}`

func veleroMetadata(o client.Object) metav1.ObjectMeta {
	labels := maps.Clone(o.GetLabels())
	if labels == nil {
		labels = labelSet{}
	}
	labels["velero.io/backup-name"], labels["velero.io/restore-name"] = "kubevision", "kubevision-20261126"
	return metav1.ObjectMeta{
		Namespace: o.GetNamespace(), Name: o.GetName(), Labels: labels, Annotations: maps.Clone(o.GetAnnotations()),
	}
}

func veleroSecret(s *corev1.Secret) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: veleroMetadata(s), Type: s.Type, Data: s.Data}
}

// veteran is a user who has chosen a password and set up a second factor.
type veteran struct {
	user                *kubevisionv1alpha1.KubeVisionUser
	source, credentials *corev1.Secret
	first, chosen       string
}

func newVeteran(t *testing.T) veteran {
	t.Helper()
	v := veteran{first: newPassword(), chosen: newPassword()}
	v.source = newSource(t, v.first)
	v.user = newUser(t, v.source.Name)
	awaitReady(t, v.user)
	hasher, err := password.NewHasher(t.Context(), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := hasher.Hash(t.Context(), v.chosen)
	if err != nil {
		t.Fatal(err)
	}
	v.credentials = credentialsOf(v.user.Name)
	change(t, v.credentials, func(s *corev1.Secret) {
		factor := &credentials.SecondFactor{TOTPSecret: "JBSWY3DPEHPK3PXP", RecoveryCodes: []string{"one", "two"}}
		if err := factor.Write(s); err != nil {
			t.Error(err)
		}
		if err := credentials.ReplacePassword(s, hash, true); err != nil {
			t.Error(err)
		}
	})
	return v
}

func (v veteran) disappears(t *testing.T) {
	t.Helper()
	remove(t, v.user)
	remove(t, v.source)
	remove(t, v.credentials)
}

// annotate sets the annotation kubevision.io/adopt-credentials on a user. It then waits until the controller has
// removed the annotation.
func annotate(t *testing.T, u *kubevisionv1alpha1.KubeVisionUser) {
	t.Helper()
	if err := retry.OnError(retry.DefaultBackoff, func(error) bool { return true }, func() error {
		return env.Client.Patch(t.Context(), u, merge(adoptCredentials))
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, "wait for the annotation to be removed", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
			return err
		}
		if _, there := u.Annotations[names.AdoptCredentialsAnnotation]; there {
			return errors.New("it is there")
		}
		return nil
	})
}

// TestRestoredUser verifies that a user whom the backup program Velero has restored can log in only after an
// administrator has confirmed the restore. The test creates the user's objects in the same order as Velero.
func TestRestoredUser(t *testing.T) {
	guard(t)
	v := newVeteran(t)
	v.disappears(t)

	create(t, veleroSecret(v.source))
	secret := veleroSecret(v.credentials)
	if err := env.Client.Create(t.Context(), secret); err != nil {
		t.Fatalf("an administrator restores credentials: %v", err)
	}
	t.Cleanup(func() { remove(t, secret) })
	u := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: veleroMetadata(v.user), Spec: v.user.Spec}
	create(t, u)
	c := awaitNotReady(t, u, kubevisionv1alpha1.ReasonNameConflict)
	if !strings.Contains(c.Message, names.AdoptCredentialsAnnotation) {
		t.Errorf("the message %q contains no advice", c.Message)
	}
	for _, value := range []string{v.first, v.chosen} {
		awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeUnauthenticated)
	}

	annotate(t, u)
	awaitReady(t, u)
	awaitEvent(t, u.Name, "Normal", "CredentialsAdopted", "Reconcile")
	if n := u.Status.RecoveryCodesRemaining; !u.Status.TwoFactorEnabled || n == nil || *n != 2 {
		t.Errorf("the second factor exists: %t, %v", u.Status.TwoFactorEnabled, n)
	}
	awaitLogin(t, u.Name, v.chosen, dashboardv1alpha1.CodeTwoFactorRequired)
	awaitLogin(t, u.Name, v.first, dashboardv1alpha1.CodeUnauthenticated)
	if got := read(t, secret); !metav1.IsControlledBy(got, u) {
		t.Errorf("the credentials belong to %v", got.OwnerReferences)
	}
}

func restoredFavorites(u *kubevisionv1alpha1.KubeVisionUser) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{ // without an owner, as after a restore from a backup
			Namespace: names.Namespace, Name: names.FavoritesConfigMap(u.Name),
			Labels: labelSet{names.UserLabel: u.Name},
		},
		Data: map[string]string{"favorites": `{"lastId":0,"items":[]}`},
	}
}

// TestRestoredFavorites verifies the restore of the ConfigMap that contains the favorites of a user:
//   - An administrator can restore a ConfigMap that has no owner reference. The annotation
//     kubevision.io/adopt-credentials of the user then makes the user the owner of the ConfigMap.
//   - A client that may only write ConfigMaps cannot restore the ConfigMap.
//   - An administrator cannot restore a ConfigMap that has an owner reference.
//   - An administrator cannot restore a ConfigMap that has the label of another user.
func TestRestoredFavorites(t *testing.T) {
	u := newUser(t, "") // has no credentials Secret
	favorites := restoredFavorites(u)
	if err := env.Client.Create(t.Context(), favorites); err != nil {
		t.Fatalf("an administrator restores favorites: %v", err)
	}
	t.Cleanup(func() { remove(t, favorites) })
	annotate(t, u)
	owned := kubevisionv1alpha1.OwnerReferences(kubevisionv1alpha1.KindUser, u)
	if got := read(t, favorites); !cmp.Equal(got.OwnerReferences, owned) ||
		got.Labels[names.ManagedByLabel] != names.ManagedBy {
		t.Errorf("the favorites belong to %v and have the labels %v", got.OwnerReferences, got.Labels)
	}

	manager := delegate(t, everything("", "configmaps"))
	other := newUser(t, "")
	becomesRefused(t, ownObjectsPolicy, manager, func(ctx context.Context, as client.Client) error {
		return as.Create(ctx, restoredFavorites(other), client.DryRunAll)
	})
	for what, how := range map[string]func(*corev1.ConfigMap){
		"of another user": func(c *corev1.ConfigMap) { c.Labels[names.UserLabel] = u.Name },
		"with an owner":   func(c *corev1.ConfigMap) { c.OwnerReferences = read(t, favorites).OwnerReferences },
	} {
		c := restoredFavorites(other)
		how(c)
		if err := refusedBy(ownObjectsPolicy, env.Client.Create(t.Context(), c, client.DryRunAll)); err != nil {
			t.Errorf("an administrator restores favorites %s: %v", what, err)
		}
	}
}

// TestRestoredDependents verifies that a restored user becomes the owner of the restored password Secret and role
// binding. The following objects keep their owner references:
//   - objects without the label of the restored user
//   - objects with another owner
//   - role bindings with another subject
func TestRestoredDependents(t *testing.T) {
	guard(t)
	other := newUser(t, "")
	for name, tc := range map[string]struct {
		change          func(secret *corev1.Secret, b *kubevisionv1alpha1.KubeVisionRoleBinding)
		secret, binding bool
	}{
		"of the user": {
			change: func(*corev1.Secret, *kubevisionv1alpha1.KubeVisionRoleBinding) {}, secret: true, binding: true,
		},
		"of another user": {change: func(s *corev1.Secret, b *kubevisionv1alpha1.KubeVisionRoleBinding) {
			s.Labels[names.UserLabel], b.Labels[names.UserLabel] = other.Name, other.Name
		}},
		"without a label": {change: func(s *corev1.Secret, b *kubevisionv1alpha1.KubeVisionRoleBinding) {
			s.Labels, b.Labels = nil, nil
		}},
		"with an owner": {change: func(s *corev1.Secret, b *kubevisionv1alpha1.KubeVisionRoleBinding) {
			s.OwnerReferences = kubevisionv1alpha1.OwnerReferences(kubevisionv1alpha1.KindUser, other)
			b.OwnerReferences = s.OwnerReferences
		}},
		"of another subject": {
			change: func(_ *corev1.Secret, b *kubevisionv1alpha1.KubeVisionRoleBinding) {
				b.Spec.Subjects = []kubevisionv1alpha1.Subject{grants.ToUser(other.Name)}
			},
			secret: true,
		},
		"with another subject": {
			change: func(_ *corev1.Secret, b *kubevisionv1alpha1.KubeVisionRoleBinding) {
				b.Spec.Subjects = append(b.Spec.Subjects, grants.ToUser(other.Name))
			},
			secret: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := userObject(unique("restored-password"))
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
				Namespace: names.Namespace, Name: u.Spec.PasswordSecretRef.Name,
				Labels: labelSet{names.UserLabel: u.Name},
			}}
			b := grants.NewBinding(names.UserGrant(u.Name), "none", kubevisionv1alpha1.RoleReadonly, nil,
				grants.ToUser(u.Name))
			b.Labels = labelSet{names.UserLabel: u.Name}
			tc.change(secret, b)
			owners := slices.Clone(secret.OwnerReferences)
			create(t, secret)
			create(t, u)
			create(t, b)
			annotate(t, u)
			ofSecret, ofBinding := owners, owners
			if tc.secret {
				ofSecret = kubevisionv1alpha1.OwnerReferences(kubevisionv1alpha1.KindUser, u)
			}
			if tc.binding {
				ofBinding = kubevisionv1alpha1.OwnerReferences(kubevisionv1alpha1.KindUser, u)
			}
			if diff := cmp.Diff(ofSecret, read(t, secret).OwnerReferences); diff != "" {
				t.Errorf("the owner of the Secret (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(ofBinding, read(t, b).OwnerReferences); diff != "" {
				t.Errorf("the owner of the binding (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRejectedAdoption verifies that a restored user becomes the owner of as many restored objects as possible. An
// admission policy rejects the owner reference of the ConfigMap with the user's favorites. The user still becomes the
// owner of the role binding, and an event reports the rejection.
func TestRejectedAdoption(t *testing.T) {
	u := userObject("")
	favorites := restoredFavorites(u)
	create(t, favorites)
	newAdmissionPolicy(t, "", "configmaps", "object.metadata.name == '"+favorites.Name+"'", "false",
		admissionregistrationv1.Update)
	eventually(t, soon, "wait for the policy", func(ctx context.Context) error {
		if err := env.Client.Update(ctx, favorites.DeepCopy(), client.DryRunAll); !apierrors.IsInvalid(err) {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
	create(t, u)
	b := grants.NewBinding(names.UserGrant(u.Name), "none", kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name))
	b.Labels = labelSet{names.UserLabel: u.Name}
	create(t, b)
	annotate(t, u)
	awaitEvent(t, u.Name, "Warning", "AdoptionFailed", "Reconcile")
	if got := read(t, favorites).OwnerReferences; len(got) > 0 {
		t.Errorf("the favorites belong to %v", got)
	}
	if got := read(t, b).OwnerReferences; len(got) != 1 || got[0].UID != u.UID {
		t.Errorf("the binding belongs to %v", got)
	}
}

// TestNobodyTakesANameOverByARestore verifies that a restore from a backup does not give the credentials of a deleted
// user to another person:
//   - A client that may only write KubeVisionUsers and Secrets cannot restore a credentials Secret.
//   - This client also cannot set the annotation kubevision.io/adopt-credentials.
//   - An administrator cannot restore a credentials Secret that has an owner reference.
//   - An administrator cannot restore a credentials Secret that has the label of another user or the type Opaque.
//   - A new user with the name of the deleted user cannot log in with a credentials Secret that has an owner reference
//     or the label of another user.
func TestNobodyTakesANameOverByARestore(t *testing.T) {
	guard(t)
	v := newVeteran(t)
	newBinding(t, kubevisionv1alpha1.RoleReadonly, grants.Named("nowhere"), grants.ToUser(v.user.Name))
	manager := delegate(t, everything(kubevisionv1alpha1.GroupName, "kubevisionusers"), everything("", "secrets"))
	becomesRefused(t, names.UsersPolicy, manager, func(ctx context.Context, as client.Client) error {
		return as.Patch(ctx, v.user.DeepCopy(), merge(adoptCredentials), client.DryRunAll)
	})
	v.disappears(t)

	own := veleroSecret(v.credentials)
	if err := refusedBy(ownObjectsPolicy, manager.Create(t.Context(), own.DeepCopy(), client.DryRunAll)); err != nil {
		t.Errorf("a manager of users restores credentials: %v", err)
	}
	for what, how := range map[string]func(*corev1.Secret){
		"of another user": func(s *corev1.Secret) { s.Labels[names.UserLabel] = "somebody" },
		"of another type": func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque },
		"with an owner": func(s *corev1.Secret) {
			s.OwnerReferences = []metav1.OwnerReference{{
				APIVersion: kubevisionv1alpha1.SchemeGroupVersion.String(), Kind: kubevisionv1alpha1.KindUser,
				Name: v.user.Name, UID: v.user.UID,
			}}
		},
	} {
		s := own.DeepCopy()
		how(s)
		if err := refusedBy(ownObjectsPolicy, env.Client.Create(t.Context(), s, client.DryRunAll)); err != nil {
			t.Errorf("an administrator restores credentials %s: %v", what, err)
		}
	}

	// Credentials with the label of another user, or with an owner, are not adopted, whoever sets the annotation.
	other := newUser(t, "")
	for what, how := range map[string]func(*corev1.Secret){
		"of another user": func(s *corev1.Secret) { s.Labels[names.UserLabel] = "somebody" },
		"with an owner": func(s *corev1.Secret) {
			s.OwnerReferences = []metav1.OwnerReference{
				*metav1.NewControllerRef(other,
					kubevisionv1alpha1.SchemeGroupVersion.WithKind(kubevisionv1alpha1.KindUser)),
			}
		},
	} {
		s := own.DeepCopy()
		how(s)
		create(t, s)
		u := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: v.user.Name}}
		create(t, u)
		annotate(t, u)
		awaitNotReady(t, u, kubevisionv1alpha1.ReasonNameConflict)
		if got := read(t, s); metav1.IsControlledBy(got, u) {
			t.Errorf("credentials %s were adopted", what)
		}
		awaitLogin(t, u.Name, v.chosen, dashboardv1alpha1.CodeUnauthenticated)
		remove(t, u)
		remove(t, s)
	}
}
