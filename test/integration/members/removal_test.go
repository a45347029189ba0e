// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// endTime bounds the time between the end of a registration and the end of requests in progress on the cluster.
const endTime = 5 * time.Second

type outcome struct {
	code int
	err  error
}

func (p *person) inBackground(tb testing.TB, cluster, path string) <-chan outcome {
	tb.Helper()
	out := make(chan outcome, 1)
	go func() {
		e, err := p.get(tb.Context(), cluster, path)
		out <- outcome{e.Code, err}
	}()
	return out
}

// holding returns a handler that reports each request on the channel arrived, and does not respond. The handler aborts
// the request when the client disconnects, or after a signal on the channel release.
func holding(arrived chan<- struct{}, release <-chan struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		for to := arrived; ; to = nil {
			select {
			case to <- struct{}{}:
				continue
			case <-r.Context().Done():
			case <-release:
			}
			break
		}
		panic(http.ErrAbortHandler)
	}
}

func receive[T any](tb testing.TB, within time.Duration, what string, from <-chan T) T {
	tb.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(within):
		tb.Fatalf("%s: did not end within %s", what, within)
		panic("unreachable")
	}
}

// TestRemovalEndsRequests verifies that requests in progress on a cluster end when its registration ends, and that a
// later registration with the same name does not receive them.
func TestRemovalEndsRequests(t *testing.T) {
	const path = "/namespaces/default/resources/pods"
	old, fresh := newStandin(t), newStandin(t)
	p, c := onStandin(t, old)
	arrived, release := make(chan struct{}), make(chan struct{})
	old.answer(podsPath, holding(arrived, release))
	t.Cleanup(func() { close(release) })
	var outcomes []<-chan outcome
	for range 3 {
		outcomes = append(outcomes, p.inBackground(t, c.Name, path))
		receive(t, fixture.Patience, "wait for a request", arrived)
	}
	set().Delete(t, c)
	for _, o := range outcomes {
		if got := receive(t, endTime, "wait for the end of a request", o); got.err != nil ||
			got.code != wire.Unreachable {
			t.Errorf("code %d (%v), want %d", got.code, got.err, wire.Unreachable)
		}
	}
	set().Gone(t, c)
	asked := len(old.of(""))

	again := c.DeepCopy()
	again.ObjectMeta = metav1.ObjectMeta{Name: c.Name}
	again.Spec.KubeconfigSecretRef = &kubevisionv1alpha1.SecretKeyReference{Name: secretFor(t, fresh, "another-token")}
	set().Create(t, again)
	p.becomes(t, fixture.Patience, c.Name, path, wire.OK)
	if n := len(fresh.of(podsPath)); n == 0 {
		t.Error("the new server received no request")
	}
	for _, r := range fresh.of("/token") {
		if got := r.Header.Get("Authorization"); got != "Bearer another-token" {
			t.Errorf("the new server was asked for a token with %q", got)
		}
	}
	if n := len(old.of("")) - asked; n != 0 {
		t.Errorf("the old server received %d requests after its replacement", n)
	}
}

func secretFor(tb testing.TB, s *standin, token string) string {
	tb.Helper()
	text, err := localcluster.Kubeconfig(s.config(token))
	if err != nil {
		tb.Fatal(err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace, Name: fixture.Name("kubeconfig")},
		Data:       map[string][]byte{"kubeconfig": text},
	}
	set().Create(tb, secret)
	return secret.Name
}

// TestRemovalEndsConnections verifies that kubevision-apiserver and kubevision-controller-manager close all connections
// to a cluster after its registration is deleted. No watch may connect to the cluster again.
func TestRemovalEndsConnections(t *testing.T) {
	member := theOther(t)
	f, c := registerThroughFront(t, member)
	p := login(t, "leaver")
	set().Bind(t, "leaver", fixture.Grant{Role: kubevisionv1alpha1.RoleReadonly,
		Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name})
	p.becomes(t, fixture.Patience, c.Name, "/resources/pods", wire.OK)
	if n, _ := f.traffic(); n < 2 {
		t.Fatalf("there are %d connections, want one of each program at least", n)
	}
	unregister(t, c)
	if err := localcluster.Poll(t.Context(), endTime, "wait for the end of the connections",
		func(context.Context) error {
			if n, _ := f.traffic(); n > 0 {
				return fmt.Errorf("there are %d", n)
			}
			return nil
		}); err != nil {
		t.Fatal(err)
	}
	_, before := f.traffic()
	time.Sleep(2 * time.Second) // a remaining watch would connect again within this time
	if n, after := f.traffic(); n > 0 || after > before {
		t.Errorf("%d connections and %d requests after the end of the registration", n, after-before)
	}
	if err := env.Client.Get(t.Context(), client.ObjectKeyFromObject(c), c); client.IgnoreNotFound(err) != nil ||
		err == nil {
		t.Errorf("the registration: %v", err)
	}
}
