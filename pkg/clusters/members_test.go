// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters/dial"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// TestOwnSecret: a Secret that KubeVision keeps for itself is not even looked for: there is nothing here to look with.
func TestOwnSecret(t *testing.T) {
	m := &members{}
	for _, name := range []string{names.SigningKeysSecret, names.ServingCertSecret, names.CredentialsSecret("alice")} {
		c := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: "c"}}
		c.Spec.KubeconfigSecretRef = &kubevisionv1alpha1.SecretKeyReference{Name: name}
		if _, err := m.get(t.Context(), c); !errors.Is(err, ErrNotConnected) {
			t.Errorf("%s: %v, want %v", name, err, ErrNotConnected)
		}
	}
}

// TestRevisions: a connection is good for the kubeconfig and the registration that it was made with, and for nothing else.
func TestRevisions(t *testing.T) {
	made := Revision{Cluster: "c", Secret: "s", Version: "1", Key: "kubeconfig"}
	m := &members{open: map[string]*openMember{"c": {revision: made, member: &Member{dialer: newDialer(dial.Policy{})}}}}
	if m.at("c", made) == nil {
		t.Error("it is not good for its own")
	}
	for what, r := range map[string]Revision{
		"another registration": {"other", "s", "1", "kubeconfig"},
		"another Secret":       {"c", "other", "1", "kubeconfig"},
		"another version":      {"c", "s", "2", "kubeconfig"},
		"another key":          {"c", "s", "1", "other"},
	} {
		if m.at("c", r) != nil {
			t.Errorf("it is taken for %s", what)
		}
	}
	m.forget(func(string, Revision) bool { return true })
	if m.at("c", made) != nil {
		t.Error("it is not forgotten")
	}
}

// TestClosedDialer: what is closed has no connection, and gets none.
func TestClosedDialer(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address := listener.Addr().String()
	d := newDialer(dial.Policy{})
	closed, err := d.dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil || len(d.open) != 0 {
		t.Errorf("%d connections are known after one was closed (%v)", len(d.open), err)
	}
	open, err := d.dial(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	d.close()
	if _, err := open.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading: %v, want %v", err, net.ErrClosed)
	}
	if _, err := d.dial(t.Context(), "tcp", address); !errors.Is(err, ErrNotConnected) {
		t.Errorf("dialling: %v, want %v", err, ErrNotConnected)
	}
	strict := newDialer(dial.Policy{Denied: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if _, err := strict.dial(t.Context(), "tcp", address); !errors.Is(err, dial.ErrRefused) {
		t.Errorf("dialling what the policy denies: %v, want %v", err, dial.ErrRefused)
	}
}
