// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// slowly sends a login without the last byte of its body.
func slowly(t *testing.T, c *wire.Client, address string, size int) {
	t.Helper()
	head := fmt.Sprintf("POST "+wire.DirectPath+
		"/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"X-Forwarded-For: %s\r\nContent-Length: %d\r\n\r\n%s", address, size, strings.Repeat(" ", size-1))
	if _, err := io.WriteString(c.Dial(t), head); err != nil {
		t.Fatal(err)
	}
}

// TestSlowBodiesDoNotCloseTheLogin verifies that slow requests from one IPv6 network do not affect other clients, and
// that slow requests from many networks do not affect known clients.
func TestSlowBodiesDoNotCloseTheLogin(t *testing.T) {
	forgiveAfterwards(t)
	c := at(t, replicaWith(t, behindProxy).Endpoint())
	u := set().User(t, "person")
	becomes(t, c, wire.OK, from("192.0.2.1", right(u)))
	for i, test := range []struct {
		name, address, login string
	}{
		{"one network", "2001:db8:bad:1::%x", "198.51.100.1"},
		{"many networks", "203.0.113.%d", "192.0.2.1"},
	} {
		if i > 0 {
			time.Sleep(12 * time.Second) // until the slow requests have timed out
		}
		t.Run(test.name, func(t *testing.T) {
			for n := range 24 {
				bodies, size := 34, 64<<10
				if n >= 6 { // small bodies use the remaining bytes
					size = 100
				}
				for range bodies {
					slowly(t, c, fmt.Sprintf(test.address, n+1), size)
				}
			}
			if e := c.Call(t, from(test.login, right(u))); e.Code != wire.OK {
				t.Errorf("a login during slow requests: code %d (%s)", e.Code, e.Message)
			}
		})
	}
}
