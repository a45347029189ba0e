// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func setReadCache(tb testing.TB, mode kubevisionv1alpha1.ReadCacheMode) {
	tb.Helper()
	c := &kubevisionv1alpha1.KubeVisionCluster{}
	c.Name = host
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"readCache":%q}}`, mode))
	if err := env.Client.Patch(context.WithoutCancel(tb.Context()), c, patch); err != nil {
		tb.Fatal(err)
	}
}

func (p person) awaitSource(tb testing.TB, path, want string) {
	tb.Helper()
	fixture.Eventually(tb, "wait for a list from "+want, func(ctx context.Context) error {
		response, err := p.client.Do(ctx, p.get(path))
		if err != nil {
			return err //nolint:wrapcheck // the error contains the request
		}
		e, err := response.Parse()
		if err != nil {
			return err //nolint:wrapcheck // as above
		}
		if e.Code != wire.OK || e.Meta.Source != want {
			return fmt.Errorf("code %d (%s) from %q", e.Code, e.Message, e.Meta.Source)
		}
		return nil
	})
}

// TestDisabledReadCache verifies that the topics of a cluster end when its read cache is disabled, and that the cache
// and the topics start again when it is enabled.
func TestDisabledReadCache(t *testing.T) {
	p, ns := inNamespace(t, "dev")
	path, topic := "/clusters/"+host+"/namespaces/"+ns+"/resources/configmaps", host+":configmaps:"+ns
	w := p.watch(t)
	w.subscribe(t, fields{"initial": true}, topic)
	p.awaitSource(t, path, "cache")
	t.Cleanup(func() { setReadCache(t, kubevisionv1alpha1.ReadCacheEnabled) })
	// The controllers are paused, because the revocation of the reader's rights would also end the topic.
	controllers := env.KubeVision.ControllerManager()
	if err := controllers.Stop(); err != nil {
		t.Fatal(err)
	}
	restart := sync.OnceValue(func() error { return controllers.Start(context.WithoutCancel(t.Context())) })
	t.Cleanup(func() {
		if err := restart(); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(3 * time.Second) // the last review after the creation of the binding must end
	setReadCache(t, kubevisionv1alpha1.ReadCacheDisabled)
	for end := time.Now().Add(promptly); ; {
		e, ok := w.within(t, time.Until(end))
		if !ok {
			t.Fatal("the topic goes on")
		}
		if e.Type == "ERROR" {
			if e.Topic != topic || e.Reason != "not-cached" || e.Code != wire.Conflict {
				t.Errorf("the topic ends with %+v", e)
			}
			break
		}
	}
	w.isAlive(t) // other topics are not affected
	w.send(t, fields{"action": "subscribe", "topics": []string{topic}})
	if e := w.next(t); e.Type != "ERROR" || e.Reason != "not-cached" {
		t.Errorf("a topic of a cluster without a cache begins with %+v", e)
	}
	p.awaitSource(t, path, "apiserver")

	if err := restart(); err != nil {
		t.Fatal(err)
	}
	setReadCache(t, kubevisionv1alpha1.ReadCacheEnabled)
	p.awaitSource(t, path, "cache")
	w.subscribe(t, nil, topic)
	configMap(t, ns, "seen", "1")
	w.until(t, "ADDED", "seen")
}
