// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Command kubelet imitates a kubelet for kube-apiserver, but runs no containers:
//   - A request for logs reads a file.
//   - A command or a terminal runs on this machine as the user who started the program.
//   - A forwarded port is a port of the loopback interface.
//
// The program uses the streaming libraries of Kubernetes. It accepts only kube-apiserver as a client, because clients
// can run commands.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"
)

const headerTimeout = 10 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error: "+err.Error())
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("kubelet", flag.ContinueOnError)
	address := flags.String("address", "", "address and port to serve on")
	dir := flags.String("dir", "",
		"directory with a directory for each Pod, NAMESPACE/NAME, in which CONTAINER.log is the log of a container")
	clientCA := flags.String("client-ca-file", "", "file with the CA of client certificates")
	clientName := flags.String("client-name", "", "common name in the certificate of the only client")
	certFile := flags.String("tls-cert-file", "", "serving certificate")
	keyFile := flags.String("tls-private-key-file", "", "key of the serving certificate")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("read the command line: %w", err)
	}
	authority, err := os.ReadFile(*clientCA)
	if err != nil {
		return fmt.Errorf("read the CA of client certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return errors.New("the file with the CA of client certificates has no certificate")
	}
	server := &http.Server{
		Addr: *address, Handler: requireCommonName(*clientName, handler(containers{dir: *dir})),
		ReadHeaderTimeout: headerTimeout,
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
			NextProtos: []string{"http/1.1"}, // streams are upgraded connections
		},
	}
	return fmt.Errorf("serve: %w", server.ListenAndServeTLS(*certFile, *keyFile))
}

// requireCommonName rejects requests if the common name in the client certificate is not the given name. The check is
// necessary because the CA also signs the certificates of ordinary users.
func requireCommonName(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || r.TLS.PeerCertificates[0].Subject.CommonName != name {
			http.Error(w, "only kube-apiserver may call", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
