// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const channelSubprotocol = "v4.channel.k8s.io"

// TestPortForward verifies that data can be sent to two ports and back, and that the error of a port without a listener
// is returned.
func TestPortForward(t *testing.T) {
	p, namespace := inNamespace(t, "dev")
	runs(t, namespace, "web", nil, "main")
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn) }()
		}
	}()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("the address is %v", listener.Addr())
	}
	path := ofPod(namespace, "web", fmt.Sprintf("portforward?ports=%d,1", address.Port))
	conn := open(t, p.client, p.get(path), channelSubprotocol)
	if conn.Subprotocol() != channelSubprotocol {
		t.Errorf("the subprotocol is %q", conn.Subprotocol())
	}
	channels := map[byte][]byte{}
	await := func(done func() bool) {
		t.Helper()
		for !done() {
			message := conn.next(t)
			channels[message[0]] = append(channels[message[0]], message[1:]...)
		}
	}
	await(func() bool { return len(channels[0]) == 2 && len(channels[3]) >= 2 })
	if got := binary.LittleEndian.Uint16(channels[0]); int(got) != address.Port {
		t.Errorf("the port is %d", got)
	}
	data := bytes.Repeat([]byte{0, 1, 254, 255}, 8<<10)
	if err := conn.WriteMessage(websocket.BinaryMessage, append([]byte{0}, data...)); err != nil {
		t.Fatal(err)
	}
	await(func() bool { return len(channels[0]) == 2+len(data) })
	if !bytes.Equal(channels[0][2:], data) {
		t.Error("the data are changed")
	}
	await(func() bool { return strings.Contains(string(channels[3]), "refused") })

	for _, ports := range []string{"", "0", "65536", "x", "1,,2"} {
		code := refused(t, p.client, p.get(ofPod(namespace, "web", "portforward?ports="+ports))).Code
		if code != wire.Invalid && code != wire.Required {
			t.Errorf("ports %q: code %d", ports, code)
		}
	}
	p.unbind(t)
	if _, reason := conn.awaitEnd(t, promptly); reason != "forbidden" {
		t.Errorf("the reason is %q", reason)
	}
}
