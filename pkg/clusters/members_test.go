// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// TestOwnSecret verifies that KubeVision's own Secrets are not read as kubeconfigs. The test has no reader, so a read
// would panic.
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

// TestRevisions verifies when a connection to a cluster is replaced:
//   - A changed kubeconfig causes a new connection. Until the new connection works, the old connection is used for a
//     limited time.
//   - An older version of the kubeconfig does not replace the connection.
//   - A KubeVisionCluster never uses the connection of a deleted KubeVisionCluster with the same name.
func TestRevisions(t *testing.T) {
	made := Revision{Cluster: "c", Secret: "s", Version: "10", Key: "kubeconfig"}
	for what, test := range map[string]struct {
		wanted        Revision
		serves, renew bool
	}{
		"its own":              {made, true, false},
		"another registration": {Revision{"other", "s", "10", "kubeconfig"}, false, false},
		"another Secret":       {Revision{"c", "other", "9", "kubeconfig"}, true, true},
		"a newer version":      {Revision{"c", "s", "11", "kubeconfig"}, true, true},
		"an older version":     {Revision{"c", "s", "9", "kubeconfig"}, true, false},
		"another key":          {Revision{"c", "s", "10", "other"}, true, true},
	} {
		o := &openMember{revision: made, member: &Member{dialer: newDialer(addresspolicy.Policy{})}}
		m := &members{open: map[string]*openMember{"c": o}}
		serving, renew := m.connectionFor("c", test.wanted)
		if (serving != nil) != test.serves || renew != test.renew {
			t.Errorf("%s: serves %v, renew %v", what, serving != nil, renew)
		}
		if _, again := m.connectionFor("c", test.wanted); again {
			t.Errorf("%s: it is renewed twice at once", what)
		}
		if o.outdatedSince = time.Now().Add(-2 * renewPatience); test.renew {
			if serving, _ := m.connectionFor("c", test.wanted); serving != nil {
				t.Errorf("%s: it serves for ever", what)
			}
		}
		m.forget(func(string, Revision) bool { return true })
		if serving, _ := m.connectionFor("c", made); serving != nil {
			t.Errorf("%s: it is not forgotten", what)
		}
	}
}

// TestRetired verifies that all connections of a KubeVisionCluster are closed if the KubeVisionCluster or the Secret
// with the kubeconfig is deleted. Connections with an older kubeconfig must also be closed.
func TestRetired(t *testing.T) {
	opened := func(version string) *openMember {
		return &openMember{revision: Revision{Cluster: "c", Secret: "s", Version: version},
			member: &Member{dialer: newDialer(addresspolicy.Policy{})}}
	}
	for what, gone := range map[string]func(string, Revision) bool{
		"the registration": func(name string, _ Revision) bool { return name == "c" },
		"the Secret":       func(_ string, r Revision) bool { return r.Secret == "s" },
	} {
		current := opened("100")
		m := &members{open: map[string]*openMember{"c": current}}
		all := []*openMember{current}
		for range maxRetired + 1 {
			o := opened("1")
			m.retire("c", o)
			all = append(all, o)
		}
		if !all[1].member.dialer.isClosed() || all[2].member.dialer.isClosed() || len(m.retired["c"]) != maxRetired {
			t.Errorf("%d are retired, want %d", len(m.retired["c"]), maxRetired)
		}
		m.forget(gone)
		for i, o := range all {
			if !o.member.dialer.isClosed() {
				t.Errorf("connection %d outlives %s", i, what)
			}
		}
		if len(m.open) != 0 || len(m.retired) != 0 {
			t.Errorf("%d are open and %d retired without %s", len(m.open), len(m.retired), what)
		}
	}
}

// TestClosedDialer verifies that a closed dialer has no connections, and opens no connections.
func TestClosedDialer(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address := listener.Addr().String()
	d := newDialer(addresspolicy.Policy{})
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
	strict := newDialer(addresspolicy.Policy{Denied: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if _, err := strict.dial(t.Context(), "tcp", address); !errors.Is(err, addresspolicy.ErrRefused) {
		t.Errorf("dialling what the policy denies: %v, want %v", err, addresspolicy.ErrRefused)
	}
}

// TestMissingKubeconfig verifies the error for a Secret without a kubeconfig. The error must name the missing key.
func TestMissingKubeconfig(t *testing.T) {
	c := &kubevisionv1alpha1.KubeVisionCluster{Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
		KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: "s"},
	}}
	for _, data := range []map[string][]byte{nil, {"config": []byte("x")}, {"kubeconfig": {}}} {
		_, err := ReadKubeconfig(c, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: data})
		if want := "key kubeconfig of Secret s is missing or empty"; err == nil || err.Error() != want {
			t.Errorf("%v: %v, want %s", data, err, want)
		}
	}
}
