// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"net/http"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// BenchmarkAuthenticated compares the durations of two requests that return the authenticated user:
//   - GET /users/me of KubeVision, with an access token
//   - SelfSubjectReview of kube-apiserver, with a client certificate
//
// Each client reuses one connection.
func BenchmarkAuthenticated(b *testing.B) {
	u, ours := set().User(b, "me"), direct(b)
	me := wire.Request{Path: wire.DirectPath + "/users/me", Bearer: u.Login(b, ours, wire.DirectPath).AccessToken}
	config, err := env.Cluster.UserConfig(u.Name)
	if err != nil {
		b.Fatal(err)
	}
	kube, err := wire.ForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	review := wire.Request{
		Method: http.MethodPost, Path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
		Body: `{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`,
	}
	var mine, theirs durations
	for b.Loop() {
		var response *wire.Response
		mine = append(mine, timed(func() { response = ours.Send(b, me) }))
		succeeded(b, response)
		theirs = append(theirs, timed(func() { response = kube.Send(b, review) }))
		if response.Status != http.StatusCreated {
			b.Fatalf("the review is answered with HTTP %d: %.300s", response.Status, response.Body)
		}
	}
	compareMedians(b, "me", mine, "review", theirs)
}
