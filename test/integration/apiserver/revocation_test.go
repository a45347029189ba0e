// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func disable(tb testing.TB, u fixture.User, disabled bool) {
	tb.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"disabled":%v}}`, disabled)
	if err := env.Client.Patch(tb.Context(), u.Object.DeepCopy(),
		client.RawPatch("application/merge-patch+json", patch)); err != nil {
		tb.Fatal(err)
	}
}

func recreate(tb testing.TB, u fixture.User, spec kubevisionv1alpha1.KubeVisionUserSpec) fixture.User {
	tb.Helper()
	set().Gone(tb, u.Object.DeepCopy())
	u.Object = &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: u.Name}, Spec: spec}
	set().Create(tb, u.Object)
	return u
}

// TestRevocation verifies that a token becomes invalid when an object on which it depends is deleted or changed.
func TestRevocation(t *testing.T) {
	for name, revoke := range map[string]func(*testing.T, actor){
		"session deleted": func(t *testing.T, a actor) {
			session := &kubevisionv1alpha1.KubeVisionSession{ObjectMeta: metav1.ObjectMeta{Name: fixture.Take(t,
				a.AccessToken).Session()}}
			set().Delete(t, session)
		},
		"user disabled": func(t *testing.T, a actor) { disable(t, a.User, true) },
		"user deleted":  func(t *testing.T, a actor) { set().Delete(t, a.Object) },
		"user deleted, sessions left": func(t *testing.T, a actor) {
			set().Delete(t, a.Object, client.PropagationPolicy(metav1.DeletePropagationOrphan))
			set().Gone(t, a.Object.DeepCopy())
		},
		"user deleted and made again": func(t *testing.T, a actor) {
			set().Delete(t, a.Object)
			recreate(t, a.User, a.Object.Spec)
		},
		"user made again, sessions left": func(t *testing.T, a actor) {
			set().Delete(t, a.Object, client.PropagationPolicy(metav1.DeletePropagationOrphan))
			recreate(t, a.User, a.Object.Spec)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newActor(t, "")
			r := wire.Request{Path: wire.DirectPath + me, Bearer: a.AccessToken}
			direct(t).Call(t, r).Want(t, wire.OK)
			revoke(t, a)
			soon(t, direct(t), wire.TokenExpired, r)
			for range 20 { // the token remains invalid
				direct(t).Call(t, r).Want(t, wire.TokenExpired)
			}
			kube(t, "porter").Call(t, wire.Request{Path: wire.GroupPath + me, Token: a.AccessToken}).Want(t,
				wire.TokenExpired)
		})
	}
}

// TestASessionDoesNotComeBack verifies that an ended session remains invalid after its user is enabled again.
func TestASessionDoesNotComeBack(t *testing.T) {
	a := newActor(t, "")
	r := wire.Request{Path: wire.DirectPath + me, Bearer: a.AccessToken}
	disable(t, a.User, true)
	session := &kubevisionv1alpha1.KubeVisionSession{ObjectMeta: metav1.ObjectMeta{Name: fixture.Take(t,
		a.AccessToken).Session()}}
	set().Gone(t, session)
	disable(t, a.User, false)
	becomes(t, direct(t), wire.OK, fixture.LoginRequest(wire.DirectPath, a.Name, a.Password))
	direct(t).Call(t, r).Want(t, wire.TokenExpired)
}

// TestAPasswordDiesWithItsUser verifies that the password of a deleted user is not valid for a new user with the same
// name, even while the old credentials exist.
func TestAPasswordDiesWithItsUser(t *testing.T) {
	for name, policy := range map[string]metav1.DeletionPropagation{
		"orphaned":   metav1.DeletePropagationOrphan,
		"background": metav1.DeletePropagationBackground,
	} {
		t.Run(name, func(t *testing.T) {
			a := newActor(t, "")
			set().Delete(t, a.Object, client.PropagationPolicy(policy))
			recreate(t, a.User, kubevisionv1alpha1.KubeVisionUserSpec{DisplayName: "somebody else, without a password"})
			login := fixture.LoginRequest(wire.DirectPath, a.Name, a.Password)
			for range 30 {
				e := direct(t).Call(t, login)
				if e.Code != wire.Unauthenticated && e.Code != wire.TooManyRequests {
					t.Fatalf("the old password gets code %d (%s), want %d", e.Code, e.Message, wire.Unauthenticated)
				}
			}
		})
	}
}

// TestAPasswordThatIsReplaced verifies that the old password is invalid as soon as the status of the user reports the
// new password.
func TestAPasswordThatIsReplaced(t *testing.T) {
	u := set().User(t, "replaced")
	u.Login(t, direct(t), wire.DirectPath)
	set().ReplacePassword(t, u, "another password")
	becomes(t, direct(t), wire.OK, fixture.LoginRequest(wire.DirectPath, u.Name, "another password"))
	direct(t).Call(t, fixture.LoginRequest(wire.DirectPath, u.Name, u.Password)).Want(t, wire.Unauthenticated)
}
