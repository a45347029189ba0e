// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	probeTimeout   = 5 * time.Second
	probeBodyLimit = 4 * 1024
)

// probe returns a function that returns nil if a URL responds with 200, and an error otherwise. The serving certificate
// must be signed by the given CA. The function sends the client certificate, or none if the pair is empty.
func probe(url string, authorityPEM []byte, client KeyPair) (func(context.Context) error, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authorityPEM) {
		return nil, fmt.Errorf("probe %s: no CA certificate in the PEM text", url)
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if len(client.CertPEM) > 0 {
		pair, err := tls.X509KeyPair(client.CertPEM, client.KeyPEM)
		if err != nil {
			return nil, fmt.Errorf("probe %s: %w", url, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return probeClient(url, &http.Client{
		Timeout:   probeTimeout,
		Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true},
	}), nil
}

// probePlain is like probe, for a URL without TLS.
func probePlain(url string) func(context.Context) error {
	return probeClient(url, &http.Client{
		Timeout:   probeTimeout,
		Transport: &http.Transport{DisableKeepAlives: true},
	})
}

func probeClient(url string, client *http.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return fmt.Errorf("probe %s: %w", url, err)
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("probe: %w", err)
		}
		body, err := io.ReadAll(io.LimitReader(response.Body, probeBodyLimit))
		if err := errors.Join(err, response.Body.Close()); err != nil {
			return fmt.Errorf("probe %s: %w", url, err)
		}
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s: %s", url, response.Status, strings.TrimSpace(string(body)))
		}
		return nil
	}
}
