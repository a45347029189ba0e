// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	large = 700 << 10
	// mostMiB is the maximum memory of the server under load, in MiB. The value is 512 (half of the memory limit of the
	// container) plus a margin of 128. The margin covers memory that the kernel reclaims late.
	mostMiB = 640
)

func createConfigMaps(t *testing.T, prefix string, count, size int) (namespace string) {
	t.Helper()
	ns := set().Namespace(t, prefix)
	value := strings.Repeat("0123456789abcdef", size/16)
	var all errgroup.Group
	all.SetLimit(8)
	for n := range count {
		all.Go(func() error {
			return env.Client.Create(t.Context(), &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("large-%d", n)},
				Data:       map[string]string{"value": value},
			})
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	return ns
}

// answered waits until a request succeeds again after an overload of the server.
func answered(t *testing.T, request func(context.Context) (*http.Request, error)) {
	t.Helper()
	c := client(t)
	fixture.Eventually(t, "wait for an answer after the flood", func(ctx context.Context) error {
		r, err := request(ctx)
		if err != nil {
			return err
		}
		if got := code(c, r); got != wire.OK {
			return fmt.Errorf("code %d", got)
		}
		return nil
	})
}

// TestManyLargeLists verifies that concurrent large lists of one user cause failures only for that user.
func TestManyLargeLists(t *testing.T) {
	ns := createConfigMaps(t, "lists", 43, large) // 30 MB
	for name, tc := range map[string]struct {
		query  string
		atOnce int
	}{
		"lists": {"?source=live", 24}, "sorted": {"?source=live&sortBy=age", 24},
		"sorted pages": {"?source=live&sortBy=name&limit=5", 48}, "searched": {"?source=live&q=large", 48},
	} {
		t.Run(name, func(t *testing.T) {
			r := replica(t)
			greedy, other := token(t, r, "dev", ns), token(t, r, "dev", ns)
			path := "/clusters/" + host + "/namespaces/" + ns + "/resources/configmaps"
			done := make(chan map[int]int)
			go func() {
				done <- flood(t, client(t), 1, get(r.Endpoint(), path+"?source=live&limit=3", other))
			}()
			codes := flood(t, client(t), tc.atOnce, get(r.Endpoint(), path+tc.query, greedy))
			beside := <-done
			survives(t, r, mostMiB)
			if codes[wire.TooManyRequests] == 0 {
				t.Error("no list of the greedy user was refused")
			}
			answered(t, get(r.Endpoint(), path+tc.query, greedy))
			if beside[wire.OK] == 0 || beside[wire.TooManyRequests] > 0 {
				t.Errorf("the other user's lists: %v", beside)
			}
		})
	}
}

// TestManySmallObjects verifies that lists of many small objects need bounded memory. Each object has its own overhead.
func TestManySmallObjects(t *testing.T) {
	ns := createConfigMaps(t, "small", 1500, 6<<10)
	r := replica(t)
	path := "/clusters/" + host + "/namespaces/" + ns + "/resources/configmaps"
	for _, query := range []string{"", "?sortBy=age", "?source=live", "?source=live&sortBy=age"} {
		list := get(r.Endpoint(), path+query, token(t, r, "dev", ns))
		flood(t, client(t), 48, list)
		answered(t, list)
	}
	survives(t, r, mostMiB)
}
