// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

func eventuallyAbsent(tb testing.TB, o client.Object) {
	tb.Helper()
	eventually(tb, collection, fmt.Sprintf("wait until %T %s is gone", o, o.GetName()),
		func(ctx context.Context) error { return absent(ctx, o) })
}

func sessionsOf(ctx context.Context, uid types.UID) ([]kubevisionv1alpha1.KubeVisionSession, error) {
	var all kubevisionv1alpha1.KubeVisionSessionList
	if err := env.Client.List(ctx, &all); err != nil {
		return nil, err
	}
	var out []kubevisionv1alpha1.KubeVisionSession
	for i := range all.Items {
		if all.Items[i].Spec.UserUID == uid {
			out = append(out, all.Items[i])
		}
	}
	return out, nil
}

func awaitSessions(tb testing.TB, uid types.UID, want int) []kubevisionv1alpha1.KubeVisionSession {
	tb.Helper()
	var sessions []kubevisionv1alpha1.KubeVisionSession
	eventually(tb, collection, "wait for sessions", func(ctx context.Context) (err error) {
		if sessions, err = sessionsOf(ctx, uid); err == nil && len(sessions) != want {
			err = fmt.Errorf("there are %d, want %d", len(sessions), want)
		}
		return err
	})
	return sessions
}

func TestDisablingEndsSessions(t *testing.T) {
	guard(t)
	value := newPassword()
	u := newUser(t, newSource(t, value).Name)
	awaitReady(t, u)
	login := awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
	awaitToken(t, login.AccessToken, dashboardv1alpha1.CodeOK)
	awaitSessions(t, u.UID, 1)
	change(t, u, func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Disabled = true })
	awaitSessions(t, u.UID, 0)
	awaitToken(t, login.AccessToken, dashboardv1alpha1.CodeTokenExpired)
	awaitCondition(t, u, kubevisionv1alpha1.ReadyCondition, metav1.ConditionTrue, kubevisionv1alpha1.ReasonUserDisabled)
	awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeUnauthenticated)
	awaitSessions(t, u.UID, 0)

	change(t, u, func(u *kubevisionv1alpha1.KubeVisionUser) { u.Spec.Disabled = false })
	awaitReady(t, u)
	awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
	if code, err := whoami(t.Context(), login.AccessToken); err != nil || code != dashboardv1alpha1.CodeTokenExpired {
		t.Errorf("a token from before the user was disabled is answered %d (%v)", code, err)
	}
}

func TestLastLoginIsNoted(t *testing.T) {
	guard(t)
	value := newPassword()
	u := newUser(t, newSource(t, value).Name)
	awaitReady(t, u)
	awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
	sessions := awaitSessions(t, u.UID, 1)
	want := sessions[0].CreationTimestamp
	check := func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
			return err
		}
		if got := u.Status.LastLoginTime; got == nil || !got.Equal(&want) {
			return fmt.Errorf("it is %v, want %v", got, want)
		}
		return nil
	}
	eventually(t, soon, "wait for the time of the login", check)
	remove(t, &sessions[0])
	holds(t, time.Second, "the time of the login", check)
}

func TestUserTakesEverythingAlong(t *testing.T) {
	guard(t)
	host(t)
	value := newPassword()
	u, other := newUser(t, newSource(t, value).Name), newUser(t, "")
	b := newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name), grants.ToUser(other.Name))
	awaitReady(t, b)
	awaitReady(t, u)
	login := awaitLogin(t, u.Name, value, dashboardv1alpha1.CodeOK)
	c := read(t, credentialsOf(u.Name))
	awaitMade(t, b, inWholeCluster(b, readonly, user(u.Name), user(other.Name)),
		using(b, hostName, user(u.Name), user(other.Name)))

	remove(t, u)
	eventuallyAbsent(t, c)
	awaitSessions(t, u.UID, 0)
	awaitMade(t, b, inWholeCluster(b, readonly, user(other.Name)), using(b, hostName, user(other.Name)))
	awaitNotReady(t, b, kubevisionv1alpha1.ReasonSubjectNotFound)
	awaitToken(t, login.AccessToken, dashboardv1alpha1.CodeTokenExpired)
}

func recreate(tb testing.TB, u *kubevisionv1alpha1.KubeVisionUser, source string) *kubevisionv1alpha1.KubeVisionUser {
	tb.Helper()
	next := userObject(source)
	next.Name = u.Name
	create(tb, next)
	return next
}

func TestUserMadeAgainIsAnotherPerson(t *testing.T) {
	guard(t)
	oldValue, newValue := newPassword(), newPassword()
	u := newUser(t, newSource(t, oldValue).Name)
	awaitReady(t, u)
	login := awaitLogin(t, u.Name, oldValue, dashboardv1alpha1.CodeOK)
	remove(t, u)
	next := recreate(t, u, newSource(t, newValue).Name)
	if code, err := whoami(t.Context(), login.AccessToken); err != nil || code != dashboardv1alpha1.CodeTokenExpired {
		t.Errorf("the token of the user before is answered %d (%v)", code, err)
	}
	if _, err := tryLogin(t.Context(), u.Name, oldValue, dashboardv1alpha1.CodeUnauthenticated); err != nil {
		t.Errorf("the password of the user before: %v", err)
	}
	awaitReady(t, next)
	awaitLogin(t, next.Name, newValue, dashboardv1alpha1.CodeOK)
	if code, err := whoami(t.Context(), login.AccessToken); err != nil || code != dashboardv1alpha1.CodeTokenExpired {
		t.Errorf("the token of the user before is answered %d (%v)", code, err)
	}
	if _, err := tryLogin(t.Context(), u.Name, oldValue, dashboardv1alpha1.CodeUnauthenticated); err != nil {
		t.Errorf("the password of the user before: %v", err)
	}
	if !read(t, credentialsOf(u.Name)).CreationTimestamp.Time.Before(time.Now().Add(time.Minute)) ||
		!metav1.IsControlledBy(read(t, credentialsOf(u.Name)), next) {
		t.Error("the credentials are not those of the new user")
	}
}

// TestOrphanedCredentialsAreNoWayIn verifies that the previous holder of a name cannot log in as the new user with
// orphaned credentials.
func TestOrphanedCredentialsAreNoWayIn(t *testing.T) {
	guard(t)
	oldValue := newPassword()
	u := newUser(t, newSource(t, oldValue).Name)
	awaitReady(t, u)
	awaitLogin(t, u.Name, oldValue, dashboardv1alpha1.CodeOK)
	orphan := read(t, credentialsOf(u.Name))
	if err := env.Client.Delete(t.Context(), u, client.PropagationPolicy(metav1.DeletePropagationOrphan)); err != nil {
		t.Fatal(err)
	}
	eventuallyAbsent(t, u)
	t.Cleanup(func() { remove(t, orphan) })
	next := recreate(t, u, newSource(t, newPassword()).Name)
	awaitNotReady(t, next, kubevisionv1alpha1.ReasonNameConflict)
	if _, err := tryLogin(t.Context(), u.Name, oldValue, dashboardv1alpha1.CodeUnauthenticated); err != nil {
		t.Errorf("the password of the user before: %v", err)
	}
}
