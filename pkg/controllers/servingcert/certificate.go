// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package servingcert

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kubevision-io/kubevision/pkg/certificates"
)

const (
	// lifetime is the lifetime of a certificate and of its CA. Each CA signs one certificate.
	lifetime = 365 * 24 * time.Hour
	// renewBefore is the remaining lifetime at which a certificate is renewed.
	renewBefore    = lifetime / 3
	maxPreviousCAs = 2
	// backdate is subtracted from the creation time of a certificate to get the beginning of its validity, so that a
	// client whose clock is slow accepts a new certificate.
	backdate = time.Hour
)

// bundle contains a serving certificate, its key and its CA, in PEM.
type bundle struct {
	cert, key, ca []byte
}

// issue creates a CA and a certificate for the hosts. The key of the CA is not stored, so that it cannot be stolen.
func issue(hosts []string, now time.Time) (bundle, error) {
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: fmt.Sprintf("kubevision-apiserver-ca@%d", now.Unix())},
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		NotBefore: now.Add(-backdate), NotAfter: now.Add(lifetime),
	}
	ca, err := certificates.SelfSigned(template)
	if err != nil {
		return bundle{}, fmt.Errorf("creating the CA: %w", err)
	}
	template = certificates.ServingTemplate(hosts...)
	template.NotBefore, template.NotAfter = now.Add(-backdate), now.Add(lifetime)
	leaf, err := ca.Issue(template)
	if err != nil {
		return bundle{}, fmt.Errorf("creating the certificate: %w", err)
	}
	return bundle{cert: leaf.CertPEM, key: leaf.KeyPEM, ca: ca.CertPEM}, nil
}

// remainingUse returns the time until the certificate must be renewed. If the certificate must be renewed now,
// remainingUse returns an error with the reason.
func remainingUse(cert, key, ca []byte, hosts []string, now time.Time) (time.Duration, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return 0, errors.New("the certificate does not match its key")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return 0, errors.New("there is no CA")
	}
	for _, host := range hosts {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: now}); err != nil {
			return 0, fmt.Errorf("the certificate is not valid for %s: %w", host, err)
		}
	}
	left := pair.Leaf.NotAfter.Add(-renewBefore).Sub(now)
	if left <= 0 {
		return 0, errors.New("the certificate is about to expire")
	}
	return left, nil
}

// mergeBundles returns the caBundle. It consists of the current CA and of at most maxPreviousCAs previous CAs that have
// not expired.
func mergeBundles(current, previous []byte, now time.Time) []byte {
	// Two may be needed: the CA of the certificate that replicas still serve, and the CA of a renewal that failed.
	out, kept := slices.Clone(current), 0
	for block, rest := pem.Decode(previous); block != nil && kept < maxPreviousCAs; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err == nil && now.Before(cert.NotAfter) {
			out = append(out, pem.EncodeToMemory(block)...)
			kept++
		}
	}
	return out
}
