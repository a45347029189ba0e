// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const (
	shortLived = "short-lived-token"
	podsPath   = "/api/v1/namespaces/default/pods"
	tokenPath  = "/api/v1/namespaces/kubevision-system/serviceaccounts/kubevision-impersonator/token"
)

// standin is a test server that is registered in place of a member and records requests. Tests can define
// responses that a real API server would not send.
type standin struct {
	*httptest.Server

	mu       sync.Mutex
	requests []*http.Request
	answers  map[string]http.HandlerFunc
}

func newStandin(tb testing.TB) *standin {
	tb.Helper()
	s := &standin{answers: map[string]http.HandlerFunc{}}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	tb.Cleanup(s.Close)
	return s
}

// answer replaces the handler of a path. Nil restores the default handler.
func (s *standin) answer(path string, how http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = how
}

func (s *standin) answerAll(how http.HandlerFunc) { s.answer("", how) }

func (s *standin) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Clone(r.Context()))
	answer := s.answers[r.URL.Path]
	if all := s.answers[""]; all != nil {
		answer = all
	}
	s.mu.Unlock()
	group := metav1.APIResourceList{GroupVersion: "v1", APIResources: []metav1.APIResource{
		{Name: "pods", Namespaced: true, Kind: "Pod", Verbs: metav1.Verbs{"get", "list"}},
	}}
	switch {
	case answer != nil:
		answer(w, r)
	case r.URL.Path == tokenPath:
		write(w, authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{
			Token: shortLived, ExpirationTimestamp: metav1.NewTime(time.Now().Add(time.Hour)),
		}})
	case r.URL.Path == "/api":
		write(w, metav1.APIVersions{Versions: []string{"v1"}})
	case r.URL.Path == "/apis":
		write(w, metav1.APIGroupList{})
	case r.URL.Path == "/api/v1":
		write(w, group)
	case r.URL.Path == podsPath:
		write(w, corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []corev1.Pod{}})
	default:
		http.Error(w, "there is nothing here", http.StatusNotFound)
	}
}

func write(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// of returns the recorded requests whose paths have a suffix.
func (s *standin) of(suffix string) []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*http.Request
	for _, r := range s.requests {
		if strings.HasSuffix(r.URL.Path, suffix) {
			out = append(out, r)
		}
	}
	return out
}

func (s *standin) config(token string) *rest.Config {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return &rest.Config{Host: s.URL, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{CAData: ca}}
}
