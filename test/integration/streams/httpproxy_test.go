// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// podAddress returns an address of this machine other than loopback, because API servers do not connect to loopback
// addresses of Pods.
func podAddress(tb testing.TB) string {
	tb.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		tb.Fatal(err)
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	tb.Skip("this machine has no address but that of the loopback interface")
	return ""
}

func podServer(tb testing.TB, ip string) (port int) {
	tb.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Set-Cookie", "session=evil")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Content-Security-Policy", "script-src *")
		text := fmt.Sprintf("<script>%s %s %q</script>", r.Method, r.URL.RawQuery, r.Header["Authorization"])
		_, _ = io.WriteString(w, text) //nolint:gosec // a test
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://evil.example.com/", http.StatusFound)
	})
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusInternalServerError)
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for block := make([]byte, 1<<20); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", ip+":0")
	if err != nil {
		tb.Fatal(err)
	}
	server := httptest.NewUnstartedServer(mux)
	server.Listener = listener
	server.Start()
	tb.Cleanup(server.Close)
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		tb.Fatalf("the address is %v", listener.Addr())
	}
	return address.Port
}

// TestHTTPProxy verifies that a user can read web pages of a Pod or a Service through KubeVision. A malicious page must
// not set cookies or run scripts in the origin of the dashboard.
func TestHTTPProxy(t *testing.T) {
	ip := podAddress(t)
	port := podServer(t, ip)
	p, namespace := inNamespace(t, "admin")
	labels := map[string]string{"app": "web"}
	pod := runs(t, namespace, "web", labels, "main")
	pod.Status.PodIP, pod.Status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	if err := env.Client.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	set().Create(t, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"},
		Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{
			{Name: "http", Port: 80, TargetPort: intstr.FromInt(port)},
		}},
	})
	paths := []string{
		ofPod(namespace, "web", fmt.Sprint("proxy?port=", port)),
		strings.Replace(ofPod(namespace, "web", "proxy?port=http"), "/pods/", "/services/", 1),
	}
	fixture.Eventually(t, "the endpoint of the Service", func(ctx context.Context) error {
		response, err := p.client.Do(ctx, p.get(paths[1]+"&path=/page"))
		if err == nil && !strings.HasPrefix(string(response.Body), "<script>") {
			err = errors.New(string(response.Body))
		}
		return err
	})
	for _, path := range paths {
		response := p.client.Send(t, p.get(path+"&path=/page%3Fa%3Db"))
		if got := string(response.Body); got != "<script>GET a=b []</script>" {
			t.Errorf("%s: %s", path, got)
		}
		header := response.Header
		if header.Get("Set-Cookie")+header.Get("Access-Control-Allow-Origin") != "" ||
			!strings.HasPrefix(header.Get("Content-Security-Policy"), "sandbox; default-src 'none'") ||
			header.Get("Content-Type") != "text/html" || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: the header is %v", path, header)
		}
		r := p.get(path + "&path=/page")
		r.Method = http.MethodHead
		if head := p.client.Send(t, r); head.Status != http.StatusOK || len(head.Body) > 0 {
			t.Errorf("HEAD: %d %s", head.Status, head.Body)
		}
		for _, what := range []string{"/away", "/broken", "/endless", "/none", "/../x", "//x", "/%252e%252e/x"} {
			response := p.client.Send(t, p.get(path+"&path="+what))
			if e, err := response.Parse(); err != nil || e.Code == wire.OK || response.Header.Get("Location") != "" {
				t.Errorf("%s: %d %.200s", what, response.Status, response.Body)
			}
		}
		r.Method = http.MethodPost
		if e := p.client.Call(t, r); e.Code == wire.OK {
			t.Error("a POST is passed on")
		}
		reader := bound(t, "readonly", namespace)
		reader.client.Call(t, reader.get(path+"&path=/page")).Want(t, wire.Forbidden)
	}
}
