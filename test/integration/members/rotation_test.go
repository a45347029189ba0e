// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestRotationUnderLoad verifies that no request fails while a kubeconfig is replaced repeatedly, that each replacement
// requires few TLS handshakes, and that other changes of the Secret require none.
func TestRotationUnderLoad(t *testing.T) {
	const rotations, path = 20, "/namespaces/default/resources/pods"
	s := newStandin(t)
	p, c := onStandin(t, s)
	var stop atomic.Bool
	var sent, failed atomic.Int64
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for !stop.Load() {
				e, err := p.get(t.Context(), c.Name, path)
				sent.Add(1)
				if err != nil || e.Code != wire.OK {
					failed.Add(1)
					t.Logf("code %d: %s (%v)", e.Code, e.Message, err)
				}
			}
		})
	}
	before := len(s.of("/token"))
	for i := range rotations {
		replaceKubeconfig(t, c, s.config(fmt.Sprint("token-", i)))
		time.Sleep(300 * time.Millisecond)
	}
	time.Sleep(3 * time.Second)
	last := s.of("/token")
	if got, want := last[len(last)-1].Header.Get("Authorization"), fmt.Sprint("Bearer token-",
		rotations-1); got != want {
		t.Errorf("the last one in force is %q, want %q", got, want)
	}
	if tokens := len(last) - before; tokens > 3*rotations {
		t.Errorf("%d rotations cost %d tokens", rotations, tokens)
	}
	before = len(last)
	for i := range 10 {
		patch := fmt.Appendf(nil, `{"spec":{"displayName":"cluster %d"},"metadata":{"labels":{"number":"%d"}}}`, i, i)
		cluster := &kubevisionv1alpha1.KubeVisionCluster{}
		cluster.Name = c.Name
		if err := env.Client.Patch(t.Context(), cluster,
			client.RawPatch("application/merge-patch+json", patch)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if tokens := len(s.of("/token")) - before; tokens > 0 {
		t.Errorf("other names cost %d tokens", tokens)
	}
	stop.Store(true)
	group.Wait()
	if failed.Load() > 0 || sent.Load() < 100 {
		t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
	}
}
