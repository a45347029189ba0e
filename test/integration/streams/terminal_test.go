// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type typed struct {
	Type string `json:"type"`
	Data string `json:"data,omitempty"`
	Cols int    `json:"cols,omitempty"`
	Rows int    `json:"rows,omitempty"`
}

// TestTerminal verifies that a client can open a terminal with a ticket, which is a single-use token. The client must
// be able to type commands, to change the size of the terminal and to read the exit code of the shell.
func TestTerminal(t *testing.T) {
	p, namespace := inNamespace(t, "dev")
	runs(t, namespace, "web", nil, "main")
	ticket := p.ticket(t, `{"cluster":"`+host+`","namespace":"`+namespace+`","pod":"web","verb":"exec"}`)
	conn := open(t, p.client, wire.Request{
		Path: p.base + ofPod(namespace, "web", "exec?container=main&command=sh&ticket="+ticket),
	})
	limits := readUntil(t, conn, func(f frame) bool { return f.Type == "info" })
	if f := limits[0]; f.IdleSeconds != 30*60 || f.MaxSeconds != 8*60*60 {
		t.Errorf("the limits are %+v", f)
	}
	conn.send(t, typed{Type: "ping"})
	conn.send(t, typed{Type: "resize", Cols: 123, Rows: 45})
	conn.send(t, typed{Type: "input", Data: "sleep 1; stty size; printf 'caf\\303'; sleep 0.3; printf '\\251\\n'\n"})
	shown := ofType(readUntil(t, conn, func(f frame) bool {
		return strings.Contains(f.Data, "\u00e9") && f.Type == "output"
	}), "output")
	if !strings.Contains(shown, "45 123") || strings.Contains(shown, "\uFFFD") {
		t.Errorf("the terminal shows %q", shown)
	}
	conn.send(t, typed{Type: "input", Data: "exit 7\n"})
	frames := readUntil(t, conn, func(f frame) bool { return f.Type == "close" })
	if last := frames[len(frames)-1]; last.ExitCode == nil || *last.ExitCode != 7 || last.Reason != "done" {
		t.Errorf("the end is %+v", last)
	}
	again := wire.Request{Path: p.base + ofPod(namespace, "web", "exec?ticket="+ticket)}
	if code := refused(t, p.client, again).Code; code != wire.Unauthenticated {
		t.Errorf("the ticket again: code %d", code)
	}
}

// TestBinaryTerminal verifies that a binary terminal transports all byte values unchanged, and returns the error output
// separately.
func TestBinaryTerminal(t *testing.T) {
	p, namespace := inNamespace(t, "dev")
	runs(t, namespace, "web", nil, "main")
	conn := open(t, p.client, p.get(ofPod(namespace, "web",
		"exec?container=main&tty=false&binary=true&command=sh&command=-c&"+
			"command=echo+error+%3E%262%3B+exec+head+-c+1024")))
	in := make([]byte, 1024)
	for i := range in {
		in[i] = byte(i)
	}
	if err := conn.WriteMessage(websocket.BinaryMessage, append([]byte{0}, in...)); err != nil {
		t.Fatal(err)
	}
	channels := map[byte][]byte{}
	for len(channels[1]) < len(in) || len(channels[2]) < len("error\n") {
		message := conn.next(t)
		channels[message[0]] = append(channels[message[0]], message[1:]...)
	}
	if !bytes.Equal(channels[1], in) || string(channels[2]) != "error\n" {
		t.Errorf("%d bytes of output, and %q", len(channels[1]), channels[2])
	}
}

// TestIncompleteOutput verifies that a replacement character is shown if the output or the error output of a command
// ends with an incomplete character.
func TestIncompleteOutput(t *testing.T) {
	p, namespace := inNamespace(t, "dev")
	runs(t, namespace, "web", nil, "main")
	conn := open(t, p.client, p.get(ofPod(namespace, "web", "exec?container=main&tty=false&command=sh&command=-c&"+
		"command="+url.QueryEscape(`printf 'out\303'; printf 'error\303' >&2`))))
	frames := readUntil(t, conn, func(f frame) bool { return f.Type == "close" })
	if shown := ofType(frames, "output"); strings.Count(shown, "\uFFFD") != 2 {
		t.Errorf("the output is %q", shown)
	}
}

// TestWhoMayHaveATerminal verifies that a terminal requires the right to create the subresource, even if the API server
// of the cluster would only require the right to get it.
func TestWhoMayHaveATerminal(t *testing.T) {
	reader, namespace := inNamespace(t, "readonly")
	runs(t, namespace, "web", nil, "main")
	for _, what := range []string{"exec", "attach", "portforward?ports=80"} {
		if code := refused(t, reader.client, reader.get(ofPod(namespace, "web", what))).Code; code != wire.Forbidden {
			t.Errorf("%s: code %d", what, code)
		}
	}
	role := fixture.Name("getter")
	set().Create(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: role}, Rules: []rbacv1.PolicyRule{
		{
			APIGroups: []string{""}, Resources: []string{"pods", "pods/exec", "pods/attach"},
			Verbs: []string{"get", "list"},
		},
	}})
	getter := bound(t, role, namespace)
	code := refused(t, getter.client, getter.get(ofPod(namespace, "web", "exec"))).Code
	if code < 40300 || code > 40302 {
		t.Errorf("with the right to get: code %d", code)
	}
	stranger := bound(t, "dev", set().Namespace(t, "other"))
	for _, pod := range []string{"web", "none"} {
		code := refused(t, stranger.client, stranger.get(ofPod(namespace, pod, "exec"))).Code
		if code != wire.NamespaceForbidden {
			t.Errorf("a stranger, %s: code %d", pod, code)
		}
	}
}

func TestTerminalEndsWithItsRight(t *testing.T) {
	for name, test := range map[string]struct {
		end    func(*testing.T, person)
		reason string
	}{
		"binding": {func(t *testing.T, p person) { p.unbind(t) }, "forbidden"},
		"session": {func(t *testing.T, p person) {
			p.client.Call(t, wire.Request{
				Method: http.MethodPost, Path: p.base + "/auth/logout", Bearer: p.AccessToken,
			}).Want(t, wire.OK)
		}, "session-ended"},
	} {
		t.Run(name, func(t *testing.T) {
			p, namespace := inNamespace(t, "dev")
			runs(t, namespace, "web", nil, "main")
			conn := open(t, p.client, p.get(ofPod(namespace, "web", "exec?container=main&command=sh")))
			conn.send(t, typed{Type: "input", Data: "echo is $((40+2))\n"})
			readUntil(t, conn, func(f frame) bool { return strings.Contains(f.Data, "is 42") })
			test.end(t, p)
			if _, reason := conn.awaitEnd(t, promptly); reason != test.reason {
				t.Errorf("the reason is %q", reason)
			}
		})
	}
}

// TestSensitiveTerminals verifies that a user with a second factor needs a fresh code for a terminal in a system
// namespace.
func TestSensitiveTerminals(t *testing.T) {
	p := bound(t, "admin")
	runs(t, "kube-system", fixture.Name("system"), nil, "main")
	fixture.Enrol(t, p.client, p.base, p.AccessToken)
	for _, what := range []string{"exec", "attach", "portforward?ports=80"} {
		if code := refused(t, p.client, p.get(ofPod("kube-system", "any", what))).Code; code != wire.TwoFactorRequired {
			t.Errorf("%s: code %d", what, code)
		}
	}
	// A shell on a node requires a code in every namespace.
	refused(t, p.client, p.get("/clusters/"+host+"/nodes/any/shell?namespace=default")).Want(t, wire.TwoFactorRequired)
}
