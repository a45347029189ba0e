// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// clientTLSConfig returns TLS settings for a client of kubevision-apiserver. If the client cannot verify a
// certificate, the client reads the trusted certificate authorities from a Secret again.
func (c *cluster) clientTLSConfig(t *testing.T) *tls.Config {
	t.Helper()
	var known atomic.Pointer[x509.CertPool]
	known.Store(x509.NewCertPool())
	known.Load().AppendCertsFromPEM([]byte(c.servingCA(t)))
	verify := func(state tls.ConnectionState) error {
		first := verifyBy(known.Load(), state)
		if first == nil {
			return nil
		}
		secret := &corev1.Secret{}
		if err := c.Client.Get(context.WithoutCancel(t.Context()), client.ObjectKey{
			Namespace: namespace, Name: "kubevision-apiserver-tls",
		}, secret); err != nil {
			return errors.Join(first, err)
		}
		now := x509.NewCertPool()
		now.AppendCertsFromPEM(secret.Data["ca.crt"])
		err := verifyBy(now, state)
		if err == nil {
			known.Store(now)
		}
		return err
	}
	return &tls.Config{
		InsecureSkipVerify: true,
		VerifyConnection:   verify,
		ServerName:         serviceName,
		MinVersion:         tls.VersionTLS12,
	}
}

func verifyBy(roots *x509.CertPool, state tls.ConnectionState) error {
	intermediates := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName: serviceName, Roots: roots, Intermediates: intermediates,
	})
	if err != nil {
		return fmt.Errorf("verify the certificate of the server: %w", err)
	}
	return nil
}
