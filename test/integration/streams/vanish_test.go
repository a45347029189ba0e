// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func gauge(ctx context.Context, c *wire.Client, name string) (float64, error) {
	response, err := c.Do(ctx, wire.Request{Path: "/metrics"})
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)$`).FindAllSubmatch(response.Body, -1)
	sum := 0.0 // a metric with labels has several values
	for _, m := range found {
		value, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			return 0, err
		}
		sum += value
	}
	if len(found) == 0 && name == "go_goroutines" {
		return 0, fmt.Errorf("HTTP %d without metrics", response.Status)
	}
	return sum, nil
}

// TestVanishedClients verifies that clients that disconnect without a close message leave no open streams and no
// goroutines.
func TestVanishedClients(t *testing.T) {
	metrics := env.Administrator(t)
	p, namespace := inNamespace(t, "dev")
	runs(t, namespace, "web", nil, "main")
	writeLog(t, namespace, "web", "main", "1")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("the address is %v", listener.Addr())
	}
	paths := []string{
		watchPath, ofPod(namespace, "web", "logs?container=main&follow=true"),
		ofPod(namespace, "web", "exec?container=main&command=sh"),
		ofPod(namespace, "web", fmt.Sprint("portforward?ports=", address.Port)),
		ofPod(namespace, "web", "copy?to=/tmp/never&size=1"),
	}
	openAll := func(each int) {
		var all []*socket
		for range each {
			for _, path := range paths {
				var subprotocols []string
				if strings.Contains(path, "portforward") {
					subprotocols = append(subprotocols, channelSubprotocol)
				}
				all = append(all, open(t, p.client, p.get(path), subprotocols...))
			}
		}
		for _, s := range all {
			s.isAlive(t)
		}
		for _, s := range all {
			_ = s.NetConn().Close()
		}
	}
	others, err := gauge(t.Context(), metrics, "kubevision_streams_open") // the streams of TestBothDoors
	if err != nil {
		t.Fatal(err)
	}
	awaitEnd := func() {
		t.Helper()
		// The SPDY library can wait 30 s for a reply of the cluster, even if the client has disconnected.
		err := localcluster.Poll(t.Context(), time.Minute, "the end of the streams", func(ctx context.Context) error {
			n, err := gauge(ctx, metrics, "kubevision_streams_open")
			if err == nil && n > others {
				err = fmt.Errorf("%v streams are open, of which %v are others", n, others)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	openAll(1)
	awaitEnd()
	before, err := gauge(t.Context(), metrics, "go_goroutines")
	if err != nil {
		t.Fatal(err)
	}
	openAll(12)
	awaitEnd()
	const changes = 30 // the number of goroutines of requests, watches and timers changes
	fixture.Eventually(t, "the end of the goroutines", func(ctx context.Context) error {
		after, err := gauge(ctx, metrics, "go_goroutines")
		if err == nil && after > before+changes {
			err = fmt.Errorf("%v goroutines before, %v now", before, after)
		}
		return err
	})
}
