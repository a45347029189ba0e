// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestAnonymousThroughKubernetes verifies that kube-apiserver rejects requests without a Kubernetes credential. The
// response is a Kubernetes Status. If the manifests in config/anonymous are applied, the requests reach KubeVision.
func TestAnonymousThroughKubernetes(t *testing.T) {
	if !target.Started {
		t.Skip("it opens kube-apiserver to anonymous requests, which only the administrator of the installation " +
			"may decide")
	}
	anonymous := wire.Configured(t, target.Anonymous)
	u := target.set().User(t, "conformance-front")
	token := u.Login(t, target.direct(t), wire.DirectPath).AccessToken
	requests := map[string]wire.Request{
		"who am I":             {Path: wire.GroupPath + "/users/me"},
		"who am I, with token": {Path: wire.GroupPath + "/users/me", Token: token},
		"a login":              fixture.LoginRequest(wire.GroupPath, u.Name, u.Password),
		"nothing":              {Path: wire.GroupPath + "/nothing"},
	}
	refused := func(t *testing.T, r wire.Request) {
		t.Helper()
		response := anonymous.Send(t, r)
		status := metav1.Status{}
		if err := json.Unmarshal(response.Body, &status); err != nil || status.Kind != "Status" ||
			response.Status != http.StatusForbidden {
			t.Errorf("HTTP %d %s (%v), want 403 and a Status", response.Status, response.Body, err)
		}
	}
	for name, r := range requests {
		t.Run("without the overlay/"+name, func(t *testing.T) { refused(t, r) })
	}
	want := map[string]int{"who am I": wire.Unauthenticated, "who am I, with token": wire.OK, "a login": wire.OK,
		"nothing": wire.Unauthenticated}
	t.Run("with the overlay", func(t *testing.T) {
		openToAnonymous(t)
		for name, r := range requests {
			t.Run(name, func(t *testing.T) { anonymous.Call(t, r).Want(t, want[name]) })
		}
	})
	t.Run("after the overlay", func(t *testing.T) {
		fixture.Eventually(t, "wait until kube-apiserver rejects anonymous requests", func(ctx context.Context) error {
			if reaches(anonymous)(ctx) == nil {
				return errors.New("anonymous requests still pass")
			}
			return nil
		})
		for _, r := range requests {
			refused(t, r)
		}
	})
	t.Run("a bearer token that only KubeVision knows", func(t *testing.T) {
		response := anonymous.Send(t, wire.Request{Path: wire.GroupPath + "/users/me", Bearer: token})
		if response.Status != http.StatusUnauthorized {
			t.Errorf("HTTP %d %s, want 401 of kube-apiserver", response.Status, response.Body)
		}
	})
}
