// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const registeredToken = "registered-token-canary"

// onStandin registers the test server s as a cluster. It returns a user who may read Pods in the cluster, and the
// registration.
func onStandin(t *testing.T, s *standin) (*person, *kubevisionv1alpha1.KubeVisionCluster) {
	t.Helper()
	c := register(t, s.config(registeredToken), nil)
	p := login(t, "standin")
	set().Bind(t, "standin", fixture.Grant{
		Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name,
		Unconnected: true,
	})
	p.becomes(t, fixture.Patience, c.Name, "/namespaces/default/resources/pods", wire.OK)
	return p, c
}

// TestUpstreamHeaders verifies the headers of the requests that KubeVision sends to a registered cluster for a user:
//   - KubeVision sends its own token.
//   - KubeVision impersonates the user and the group kubevision:users, but no other group.
//   - KubeVision does not forward the client's headers, such as Cookie.
//
// KubeVision must reject a client's request with impersonation headers.
func TestUpstreamHeaders(t *testing.T) {
	s := newStandin(t)
	p, c := onStandin(t, s)
	path := wire.DirectPath + "/clusters/" + c.Name + "/namespaces/default/resources/pods"
	for name, header := range map[string]http.Header{
		"plain":       {},
		"hop by hop":  {"Connection": {"Impersonate-User, Impersonate-Group, Authorization"}},
		"cookie":      {"Cookie": {"session=canary"}},
		"front proxy": {"X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"}},
		"forwarded": {"X-Forwarded-For": {"192.0.2.1"}, "Forwarded": {"for=192.0.2.1"},
			"X-Forwarded-Host": {"evil"}},
		"other credentials": {"Proxy-Authorization": {"Basic canary"}, "X-Kubevision-Totp": {"123456"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(s.of(podsPath))
			response, err := p.client.Do(t.Context(), wire.Request{Path: path, Bearer: p.token, Header: header})
			if err != nil {
				t.Fatal(err)
			}
			if e, err := response.Parse(); err != nil || e.Code != wire.OK {
				t.Fatalf("code %d: %s (%v)", e.Code, e.Message, err)
			}
			sent := s.of(podsPath)[before:]
			if len(sent) != 1 {
				t.Fatalf("%d requests reached the member", len(sent))
			}
			got := sent[0].Header.Clone()
			for _, harmless := range []string{"User-Agent", "Accept-Encoding"} {
				got.Del(harmless)
			}
			want := http.Header{
				"Accept": {"application/json"}, "Authorization": {"Bearer " + shortLived},
				"Impersonate-User": {"kubevision:" + p.Name}, "Impersonate-Group": {"kubevision:users"},
			}
			if !maps.EqualFunc(got, want, slices.Equal[[]string]) {
				t.Errorf("the member saw %v, want %v", got, want)
			}
		})
	}
	before := len(s.of(podsPath))
	for _, name := range []string{"Impersonate-User", "Impersonate-Group", "Impersonate-Uid",
		"Impersonate-Extra-Scopes"} {
		response, err := p.client.Do(t.Context(),
			wire.Request{Path: path, Bearer: p.token, Header: http.Header{name: {"system:masters"}}})
		if err != nil {
			t.Fatal(err)
		}
		if e, err := response.Parse(); err != nil || e.Code != wire.Invalid {
			t.Errorf("%s: code %d (%v), want %d", name, e.Code, err, wire.Invalid)
		}
	}
	if n := len(s.of(podsPath)) - before; n != 0 {
		t.Errorf("%d requests with impersonation headers reached the member", n)
	}
	for _, r := range s.of("") {
		if r.Header.Get("Impersonate-User") != "" && strings.Contains(r.Header.Get("Authorization"), registeredToken) {
			t.Errorf("%s impersonated a user with the registered credential", r.URL)
		}
	}
}

// TestRotatedKubeconfig verifies a change of the kubeconfig in the Secret of a registered cluster:
//   - New requests use the new kubeconfig.
//   - A request in progress with the previous kubeconfig completes.
//   - The previous connection gets no further requests.
func TestRotatedKubeconfig(t *testing.T) {
	before, after := newStandin(t), newStandin(t)
	p, c := onStandin(t, before)
	arrived, release := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	before.answer(podsPath, func(w http.ResponseWriter, r *http.Request) {
		if held.CompareAndSwap(false, true) {
			close(arrived)
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
		write(w, corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []corev1.Pod{}})
	})
	underWay := p.inBackground(t, c.Name, "/namespaces/default/resources/pods")
	receive(t, fixture.Patience, "wait for a request", arrived)
	replaceKubeconfig(t, c, after.config("another-token"))
	fixture.Eventually(t, "wait for the new server to be asked", func(ctx context.Context) error {
		if _, err := p.get(ctx, c.Name, "/namespaces/default/resources/pods"); err != nil {
			return err
		}
		if len(after.of(podsPath)) == 0 {
			return errors.New("it was not asked")
		}
		return nil
	})
	asked := len(before.of(podsPath))
	for range 5 {
		if code := p.code(t, c.Name, "/namespaces/default/resources/pods"); code != wire.OK {
			t.Errorf("code %d", code)
		}
	}
	if len(before.of(podsPath)) != asked {
		t.Error("the old server received another request")
	}
	close(release)
	if got := receive(t, endTime, "wait for the answer by the old one", underWay); got.code != wire.OK {
		t.Errorf("code %d (%v), want %d", got.code, got.err, wire.OK)
	}
	for _, r := range after.of("/token") {
		if got := r.Header.Get("Authorization"); got != "Bearer another-token" {
			t.Errorf("the new server was asked for a token with %q", got)
		}
	}
}

// TestHostileMember verifies that requests fail with the code 50200 while a registered server sends malicious
// responses. KubeVision must not follow a redirect to another server.
func TestHostileMember(t *testing.T) {
	s, elsewhere := newStandin(t), newStandin(t)
	p, c := onStandin(t, s)
	const path = "/namespaces/default/resources/pods"
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		code   int
	}{
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+podsPath, http.StatusTemporaryRedirect)
		}, wire.Unreachable},
		"unauthorized": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
			wire.Unreachable},
		"long headers": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 65<<10))
		}, wire.Unreachable},
		"cut": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, wire.Unreachable},
		"one large object": {func(w http.ResponseWriter, _ *http.Request) {
			sendCompressed(w, `{"items":[{"metadata":{"name":"x`, "x", `"}}]}`, 64<<20)
		}, wire.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			s.answer(podsPath, test.answer)
			if code := p.code(t, c.Name, path); code != test.code {
				t.Errorf("code %d, want %d", code, test.code)
			}
		})
	}
	s.answer(podsPath, nil)
	if n := len(elsewhere.of("")); n != 0 {
		t.Errorf("%d requests followed a redirect", n)
	}
	p.becomes(t, fixture.Patience, c.Name, path, wire.OK)
}

func sendCompressed(w http.ResponseWriter, prefix, repeated, suffix string, uncompressedBytes int) {
	w.Header().Set("Content-Encoding", "gzip")
	compressed := gzip.NewWriter(w)
	defer func() { _ = compressed.Close() }()
	const piece = 1 << 20
	_, err := io.WriteString(compressed, prefix)
	for written := 0; written < uncompressedBytes && err == nil; written += piece {
		_, err = io.WriteString(compressed, strings.Repeat(repeated, piece/len(repeated)))
	}
	_, _ = io.WriteString(compressed, suffix)
}

// TestRefusedAddress verifies that KubeVision sends no user's request to a registered server if the flag
// --cluster-addresses-denied denies the address of the server.
func TestRefusedAddress(t *testing.T) {
	s := newStandin(t)
	p, c := onStandin(t, s)
	replica, err := env.KubeVision.StartAPIServer(t.Context(), 0, "--cluster-addresses-denied=127.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Stop() })
	strict, err := wire.New(replica.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		t.Fatal(err)
	}
	asked := len(s.of(""))
	there := &person{User: p.User, client: strict, token: p.token}
	there.becomes(t, fixture.Patience, c.Name, "/namespaces/default/resources/pods", wire.Unreachable)
	for _, r := range s.of("")[asked:] {
		if r.URL.Path == podsPath {
			t.Error("the server received a request")
		}
	}
}

// TestUntrustedServer verifies that a registered server receives no request if its certificate is not signed by the
// certificate authority in the kubeconfig.
func TestUntrustedServer(t *testing.T) {
	s := newStandin(t)
	config := s.config(registeredToken)
	config.CAData = env.KubeVision.CAPEM()
	c := register(t, config, nil)
	condition(t, c, fixture.Patience, kubevisionv1alpha1.ClusterReachableCondition, metav1.ConditionFalse,
		kubevisionv1alpha1.ReasonProbeFailed)
	if n := len(s.of("")); n != 0 {
		t.Errorf("%d requests were sent to it", n)
	}
}
