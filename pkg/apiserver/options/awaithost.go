// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strconv"

	"k8s.io/client-go/tools/clientcmd"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/apiserver/filters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/hostwait"
)

// awaitHost waits until the API server of the host cluster is ready. Until then, the server asks all clients to try
// again.
func (o *Options) awaitHost(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", o.CoreAPI.CoreAPIKubeconfigPath)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return hostwait.Await(ctx, config, o.listen, hostwait.Probes(waiting()))
}

// listen returns a TLS listener on the address of the server, with the serving certificate.
func (o *Options) listen(ctx context.Context) (net.Listener, error) {
	serving := o.SecureServing
	var certificate tls.Certificate
	var err error
	if generated := serving.ServerCert.GeneratedCert; generated != nil {
		certificate, err = tls.X509KeyPair(generated.CurrentCertKeyContent())
	} else {
		certificate, err = tls.LoadX509KeyPair(serving.ServerCert.CertKey.CertFile, serving.ServerCert.CertKey.KeyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the serving certificate: %w", err)
	}
	address := net.JoinHostPort(serving.BindAddress.String(), strconv.Itoa(serving.BindPort))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	return tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
	}), nil
}

// waiting returns a handler that asks clients to try again. Below the API's prefixes, it responds with an envelope. For
// other paths, it responds with the status 503.
func waiting() http.Handler {
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !filters.UnderAPI(r.URL.Path) {
			http.Error(w, "waiting for the API server of the host cluster", http.StatusServiceUnavailable)
			return
		}
		envelope.WriteError(r.Context(), w, envelope.New(dashboardv1alpha1.CodeUnreachable,
			"KubeVision is starting and waits for the API server of the host cluster: try again shortly"))
	})
	return filters.WithEnvelope(refuse, func(*http.Request) bool { return false }, nil)
}
