// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestRefusalsOfKubelets verifies the error of a terminal or port-forward when the kubelet rejects the request. The
// error contains the HTTP status of the kubelet's response, but no text from the response body.
func TestRefusalsOfKubelets(t *testing.T) {
	const secret = "the-text-of-the-kubelet"
	pair, err := env.Cluster.ClusterCA().IssueServing("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, secret, http.StatusForbidden)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	address, ok := server.Listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("the address is %v", server.Listener.Addr())
	}
	p, namespace := inNamespace(t, "dev")
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("refusing")}}
	set().Create(t, node)
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(address.Port) //nolint:gosec // a port
	if err := env.Client.Status().Update(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	pod := runs(t, namespace, "web", nil, "main")
	onNode := pod.DeepCopy()
	onNode.ResourceVersion, onNode.UID, onNode.Name, onNode.Spec.NodeName = "", "", "refused", node.Name
	set().Create(t, onNode)
	onNode.Status = *pod.Status.DeepCopy()
	if err := env.Client.Status().Update(t.Context(), onNode); err != nil {
		t.Fatal(err)
	}
	terminal := open(t, p.client, p.get(ofPod(namespace, "refused", "exec?container=main&command=sh")))
	shown := ofType(readUntil(t, terminal, func(f frame) bool { return f.Type == "close" }), "error")
	ports := open(t, p.client, p.get(ofPod(namespace, "refused", "portforward?ports=80")), channelSubprotocol)
	if _, reason := ports.awaitEnd(t, promptly); reason != "failed" {
		t.Errorf("the reason is %q", reason)
	}
	for what, text := range map[string]string{"terminal": shown, "port": ports.end.Text} {
		if !strings.Contains(text, "HTTP status 403") || strings.Contains(text, secret) {
			t.Errorf("the error of the %s is %q", what, text)
		}
	}
	// For a refused log, the API server returns a Status.
	e := p.client.Call(t, p.get(overHTTP(namespace, "/pods/refused?container=main"))).Want(t, wire.Rejected)
	if !strings.Contains(e.Message, secret) {
		t.Errorf("the error of the log is %q", e.Message)
	}
}
