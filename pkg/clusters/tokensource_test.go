// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kubevision-io/kubevision/pkg/circuitbreaker"
)

func tokens(answer *authenticationv1.TokenRequest, err error) *tokenSource {
	kube := fake.NewClientset()
	kube.PrependReactor("create", "serviceaccounts/token", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, answer, err
	})
	return newTokenSource(kube.CoreV1())
}

// TestTokenRefused verifies that a request fails with ErrNotConnected if KubeVision gets no token for the cluster.
// The circuit breaker must open only if the cluster does not respond to the token request.
func TestTokenRefused(t *testing.T) {
	refused := errors.New("connection refused")
	for name, test := range map[string]struct {
		err     error
		answers bool
	}{
		"not found": {apierrors.NewNotFound(schema.GroupResource{Resource: "serviceaccounts"},
			"kubevision-impersonator"), true},
		"forbidden": {apierrors.NewForbidden(schema.GroupResource{Resource: "serviceaccounts"},
			"kubevision-impersonator", refused), true},
		"no answer":    {refused, false},
		"unauthorized": {apierrors.NewUnauthorized("no"), true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBreaker(clocktesting.NewFakePassiveClock(time.Now()), maxPause,
				authenticated(tokens(nil, test.err))(answering(func(*http.Request) (*http.Response, error) {
					t.Error("a request was sent without a token")
					return nil, refused
				})))
			for range circuitbreaker.After {
				response, err := b.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
				if err == nil {
					t.Fatal("there is a response", response.Body.Close())
				}
				var status apierrors.APIStatus
				if !errors.Is(err, ErrNotConnected) || errors.As(err, &status) {
					t.Errorf("%v, want %v and nothing that the cluster has answered us", err, ErrNotConnected)
				}
			}
			if _, err := b.circuit.Enter(); (err == nil) != test.answers {
				t.Errorf("the next request: %v", err)
			}
		})
	}
}

// TestVoidToken verifies that KubeVision sends a read or an access review again, with a new token, if the cluster
// rejects the first token. KubeVision must not send a write or a proxy request again.
func TestVoidToken(t *testing.T) {
	const reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
	for name, test := range map[string]struct {
		method, path, body string
		tries              int
		void               string
		status             int
	}{
		"read":          {http.MethodGet, "/api/v1/pods", "", 2, "token-1", http.StatusOK},
		"access review": {http.MethodPost, reviews, "x", 2, "token-1", http.StatusOK},
		"all are void":  {http.MethodGet, "/api/v1/pods", "", 2, "token", http.StatusUnauthorized},
		"valid":         {http.MethodGet, "/api/v1/pods", "", 1, "another", http.StatusOK},
		"write":         {http.MethodPost, "/api/v1/namespaces/a/pods", "x", 1, "token-1", http.StatusUnauthorized},
		"deletion":      {http.MethodDelete, "/api/v1/namespaces/a/pods/b", "", 1, "token-1", http.StatusUnauthorized},
		"proxy": {
			http.MethodGet, "/api/v1/namespaces/a/services/b/proxy/", "", 1, "token-1", http.StatusUnauthorized,
		},
	} {
		t.Run(name, func(t *testing.T) {
			given, tries, void := 0, 0, "none"
			expires := metav1.NewTime(time.Now().Add(time.Hour))
			kube := fake.NewClientset()
			kube.PrependReactor("create", "serviceaccounts/token",
				func(clienttesting.Action) (bool, runtime.Object, error) {
					given++
					return true, &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{
						Token: fmt.Sprint("token-", given), ExpirationTimestamp: expires,
					}}, nil
				})
			authenticate := authenticated(newTokenSource(kube.CoreV1()))
			send := authenticate(answering(func(r *http.Request) (*http.Response, error) {
				tries++
				if text, err := io.ReadAll(r.Body); err != nil || string(text) != test.body {
					t.Errorf("the body is %q (%v)", text, err)
				}
				w := httptest.NewRecorder()
				if strings.Contains(r.Header.Get("Authorization"), void) {
					w.WriteHeader(http.StatusUnauthorized)
				}
				return w.Result(), nil
			}))
			request := func() *http.Request {
				// NewRequest sets GetBody like client-go.
				r, err := http.NewRequestWithContext(t.Context(), test.method, test.path, strings.NewReader(test.body))
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			for range 2 { // the token of the first request is invalid for the second one
				tries = 0
				answer, err := send.RoundTrip(request())
				if err != nil {
					t.Fatal(err)
				}
				_ = answer.Body.Close()
				if void == test.void && (answer.StatusCode != test.status || tries != test.tries) {
					t.Errorf("status %d after %d tries", answer.StatusCode, tries)
				}
				void = test.void
			}
		})
	}
}

// TestRefusalsOfOtherServers verifies that many 401 responses from a proxied Service or a kubelet cause at most one
// request for a new token. A request for a new token makes all users of the cluster wait.
func TestRefusalsOfOtherServers(t *testing.T) {
	given := 0
	kube := fake.NewClientset()
	kube.PrependReactor("create", "serviceaccounts/token", func(clienttesting.Action) (bool, runtime.Object, error) {
		given++
		return true, &authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{
			Token: "token", ExpirationTimestamp: metav1.NewTime(time.Now().Add(time.Hour)),
		}}, nil
	})
	send := authenticated(newTokenSource(kube.CoreV1()))(answering(func(*http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		w.WriteHeader(http.StatusUnauthorized)
		return w.Result(), nil
	}))
	for _, path := range []string{"/api/v1/namespaces/a/services/b/proxy/", "/api/v1/namespaces/a/pods/b/log"} {
		for range 10 {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
			answer, err := send.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
		}
	}
	if given > 2 {
		t.Errorf("%d tokens were requested", given)
	}
}

func TestTokenRenewed(t *testing.T) {
	ends := time.Now().Add(time.Hour)
	token, err := tokens(&authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{
		Token: "x", ExpirationTimestamp: metav1.NewTime(ends),
	}}, nil).Token()
	if err != nil {
		t.Fatal(err)
	}
	if left := ends.Sub(token.Expiry); left < renewBefore {
		t.Errorf("it is renewed %s before its end, want %s", left, renewBefore)
	}
}

// TestTokensOfNoReader verifies that a failed token request for the ServiceAccount kubevision-reader is repeated only
// after readerRetry.
func TestTokensOfNoReader(t *testing.T) {
	missing := apierrors.NewNotFound(schema.GroupResource{Resource: "serviceaccounts"}, "kubevision-reader")
	for name, test := range map[string]struct{ err, want error }{
		"missing": {missing, ErrNoReader}, "no answer": {errors.New("connection refused"), ErrNotConnected},
	} {
		t.Run(name, func(t *testing.T) {
			now, asked := time.Now(), 0
			kube := fake.NewClientset()
			kube.PrependReactor("create", "serviceaccounts/token",
				func(clienttesting.Action) (bool, runtime.Object, error) {
					asked++
					return true, nil, test.err
				})
			s := &patientSource{next: newTokenSource(kube.CoreV1()), now: func() time.Time { return now }}
			for _, wait := range []time.Duration{0, readerRetry - 1, 1} {
				now = now.Add(wait)
				var status apierrors.APIStatus
				if _, err := s.Token(); !errors.Is(err, test.want) || errors.As(err, &status) {
					t.Errorf("after %s: %v", wait, err)
				}
			}
			if asked != 2 {
				t.Errorf("the cluster was asked %d times", asked)
			}
		})
	}
}

// TestReadOnly verifies that the read cache sends only reads of resources other than Secrets.
func TestReadOnly(t *testing.T) {
	for path, allowed := range map[string]bool{
		"/api/v1/pods?watch=true": true, "/apis/apps/v1/namespaces/a/deployments/b": true,
		"/apis/example.com/v1/secrets": true,
		"/api/v1/secrets":              false, "/api/v1/namespaces/a/secrets/b": false, "/api/v1/watch/secrets": false,
		"/api/v1/namespaces/a/pods/b/log": false, "/version": false, "/api/v1/proxy/namespaces/a/pods/b": false,
	} {
		err := checkReadOnly(httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if (err == nil) != allowed {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodHead, http.MethodOptions} {
		if checkReadOnly(httptest.NewRequestWithContext(t.Context(), method, "/api/v1/namespaces/a/pods", nil)) == nil {
			t.Errorf("%s is sent", method)
		}
	}
	for _, header := range []string{"Impersonate-User", "Authorization"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/pods", nil)
		r.Header.Set(header, "x")
		if checkReadOnly(r) == nil {
			t.Errorf("%s is sent", header)
		}
	}
}
