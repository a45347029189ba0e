// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"net/http"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func deviceOf(t *testing.T, e wire.Envelope) string {
	t.Helper()
	var data struct {
		DeviceToken string `json:"deviceToken"`
	}
	e.Want(t, wire.OK).Into(t, &data)
	if data.DeviceToken == "" {
		t.Fatal("the login has no device token")
	}
	return data.DeviceToken
}

func withDevice(t *testing.T, u fixture.User, password, device string) wire.Request {
	t.Helper()
	return post(t, "/auth/login", map[string]string{"username": u.Name, "password": password, "deviceToken": device})
}

// TestAKnownDeviceIsNotLockedOut verifies that failed logins of other clients do not block logins from a known device.
// A known device is a client with a token from an earlier login of the user. Failed logins from the known device itself
// block the known device. The test uses two replicas.
func TestAKnownDeviceIsNotLockedOut(t *testing.T) {
	clients := pair(t)
	c := clients[0]
	u, other := set().User(t, "owner"), set().User(t, "other")
	other.Login(t, c, wire.DirectPath)
	foreign := deviceOf(t, c.Call(t, right(other)))
	u.Login(t, c, wire.DirectPath)
	device := deviceOf(t, c.Call(t, right(u)))
	lock(t, u.Name, clients...)

	for name, token := range map[string]string{"none": "", "invented": "AAAA", "of another user": foreign,
		"cut": device[:len(device)-2]} {
		if e := c.Call(t, withDevice(t, u, u.Password, token)); e.Code != wire.TooManyRequests {
			t.Errorf("token %s: code %d (%s)", name, e.Code, e.Message)
		}
	}
	nobody := fixture.Name("nobody")
	lock(t, nobody, clients...)
	c.Call(t, withDevice(t, fixture.User{Name: nobody}, "wrong", device)).Want(t, wire.TooManyRequests)

	for _, c := range clients {
		next := deviceOf(t, c.Call(t, withDevice(t, u, u.Password, device)))
		header := right(u)
		header.Header = http.Header{"X-Kubevision-Device": {next}}
		c.Call(t, header).Want(t, wire.OK)
		c.Call(t, right(u)).Want(t, wire.TooManyRequests) // the owner's logins reset no failures of others
	}
	for i := range freeFailures {
		clients[i%2].Call(t, withDevice(t, u, "wrong", device)).Want(t, wire.Unauthenticated)
	}
	clients[0].Call(t, withDevice(t, u, u.Password, device)).Want(t, wire.TooManyRequests)
	counted := 0
	for _, throttle := range throttlesOf(t, u) {
		if throttle.Spec.Target == kubevisionv1alpha1.ThrottleDevice && throttle.Spec.Failures == freeFailures {
			counted++
		}
		if throttle.Spec.Target == kubevisionv1alpha1.ThrottleUser && throttle.Spec.Failures != 2*freeFailures {
			t.Errorf("%d failures of the account are counted", throttle.Spec.Failures)
		}
	}
	if counted != 1 {
		t.Errorf("%d devices have their failures counted", counted)
	}
}

func throttlesOf(t *testing.T, u fixture.User) []kubevisionv1alpha1.KubeVisionLoginThrottle {
	t.Helper()
	var all kubevisionv1alpha1.KubeVisionLoginThrottleList
	if err := env.Client.List(t.Context(), &all, client.MatchingLabels{"kubevision.io/user": u.Name}); err != nil {
		t.Fatal(err)
	}
	return all.Items
}

// TestADeviceIsForgotten verifies that a change of the password invalidates all earlier device tokens. A device token
// identifies a client that has logged in before.
func TestADeviceIsForgotten(t *testing.T) {
	c, a := direct(t), newActor(t, "")
	device := deviceOf(t, c.Call(t, right(a.User)))
	renewal := refresh(t, a.RefreshToken)
	renewal.Header = http.Header{"X-Kubevision-Device": {device}}
	e := c.Call(t, renewal)
	a.Login, device = renewed(t, e), deviceOf(t, e)
	c.Call(t, changePassword(t, a.AccessToken, a.Password, anotherPassword)).Want(t, wire.OK)
	lock(t, a.Name, c)
	c.Call(t, withDevice(t, a.User, anotherPassword, device)).Want(t, wire.TooManyRequests)
	// The session that changed the password continues, and its device token remains valid.
	kept := c.Call(t, refresh(t, a.RefreshToken))
	c.Call(t, withDevice(t, a.User, anotherPassword, deviceOf(t, kept))).Want(t, wire.OK)
}

// TestRenewalsMakeNoDevices verifies that a client cannot refresh a session to get more attempts to guess the password.
// The server limits the wrong passwords for each device, so a refresh must not create another device.
func TestRenewalsMakeNoDevices(t *testing.T) {
	c, a := direct(t), newActor(t, "")
	forgiveAfterwards(t)
	guesses := 0
	for range 4 {
		e := c.Call(t, refresh(t, a.RefreshToken))
		a.Login = renewed(t, e)
		device := deviceOf(t, e)
		for range freeFailures {
			if c.Call(t, withDevice(t, a.User, "wrong", device)).Code == wire.Unauthenticated {
				guesses++
			}
		}
	}
	if guesses > freeFailures {
		t.Errorf("%d guesses were verified, want at most %d", guesses, freeFailures)
	}
}
