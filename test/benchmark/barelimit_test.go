// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// servedFileVariable is the environment variable that makes this test binary serve a file. The value is the path of the
// file.
const servedFileVariable = "KUBEVISION_BENCHMARK_SERVED_FILE"

// startFileServer starts a child process that serves body over TLS. It returns the URL of the server and the id of the
// process. BenchmarkCachedList compares other servers to the file server, which does no other work.
func startFileServer(b *testing.B, body []byte) (url string, pid int) {
	b.Helper()
	file := filepath.Join(b.TempDir(), "body.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		b.Fatal(err)
	}
	p := startProgram(b, nil, servedFileVariable, file)
	var at address
	if err := json.NewDecoder(p.out).Decode(&at); err != nil {
		b.Fatal(err)
	}
	return at.URL, p.pid
}

// serveFile is the main function of a child process that serves file over TLS until stdin is closed. It writes the URL
// and the certificate of the server to stdout.
func serveFile(file string, stdin io.Reader, stdout io.Writer) error {
	body, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading what is served: %w", err)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "body.json", time.Time{}, bytes.NewReader(body))
	}))
	defer server.Close()
	at := address{URL: server.URL, Authority: pem.EncodeToMemory(&pem.Block{
		Type: "CERTIFICATE", Bytes: server.Certificate().Raw,
	})}
	if err := json.NewEncoder(stdout).Encode(at); err != nil {
		return fmt.Errorf("printing the address: %w", err)
	}
	_, err = io.Copy(io.Discard, stdin)
	server.CloseClientConnections()
	return err //nolint:wrapcheck // an error of the standard input
}
