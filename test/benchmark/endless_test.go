// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
)

// memberVariable is the environment variable that makes this program act as a fake member cluster.
const memberVariable = "KUBEVISION_BENCHMARK_MEMBER"

// address contains the URL and the CA certificate of a server that runs in a child process.
type address struct {
	URL       string
	Authority []byte
}

func newEndlessMember(b *testing.B) string {
	b.Helper()
	_, out := aside(b, memberVariable)
	var at address
	if err := json.NewDecoder(out).Decode(&at); err != nil {
		b.Fatal(err)
	}
	return registerBy(b, &rest.Config{
		Host: at.URL, BearerToken: "registered", TLSClientConfig: rest.TLSClientConfig{CAData: at.Authority},
	})
}

// serveEndlessly is the main function of a child process that acts as a fake member cluster with endless responses.
// The process exits when its standard input ends.
func serveEndlessly(in io.Reader, out io.Writer) error {
	server := httptest.NewTLSServer(http.HandlerFunc(answerEndlessly))
	defer server.Close()
	at := address{
		URL: server.URL, Authority: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE",
			Bytes: server.Certificate().Raw}),
	}
	if err := json.NewEncoder(out).Encode(at); err != nil {
		return fmt.Errorf("printing the address of the member: %w", err)
	}
	_, err := io.Copy(io.Discard, in)
	server.CloseClientConnections()
	return err //nolint:wrapcheck // an error of the standard input
}

func answerEndlessly(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	encode := func(body runtime.Object) { _ = json.NewEncoder(w).Encode(body) } //nolint:errchkjson // a test
	switch {
	case strings.HasSuffix(r.URL.Path, "/token"):
		encode(&authenticationv1.TokenRequest{Status: authenticationv1.TokenRequestStatus{
			Token: "short-lived", ExpirationTimestamp: metav1.NewTime(time.Now().Add(time.Hour)),
		}})
	case r.URL.Path == "/api":
		encode(&metav1.APIVersions{Versions: []string{"v1"}})
	case r.URL.Path == "/apis":
		encode(&metav1.APIGroupList{})
	case r.URL.Path == "/api/v1":
		encode(&metav1.APIResourceList{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "pods", Namespaced: true, Kind: "Pod", Verbs: metav1.Verbs{"get", "list"}},
		}})
	default:
		pods := []byte(strings.Repeat(`,{"metadata":{"namespace":"default","name":"endless"}}`, 1000))
		_, err := io.WriteString(w,
			`{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"first"}}`)
		for err == nil {
			_, err = w.Write(pods)
		}
	}
}
