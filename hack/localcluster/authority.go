// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kubevision-io/kubevision/pkg/certificates"
)

// certificateLifetime exceeds the lifetime of any cluster, because the CA of a cluster that is kept between runs is
// never renewed.
const certificateLifetime = 10 * 365 * 24 * time.Hour

// KeyPair is a certificate with its private key, both PEM encoded.
type KeyPair certificates.KeyPair

// NewAuthority creates a self-signed CA.
func NewAuthority(commonName string) (KeyPair, error) {
	pair, err := certificates.SelfSigned(withLifetime(&x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}))
	return KeyPair(pair), err
}

// IssueClient signs a client certificate. Kubernetes uses its common name as the user name and its organizations as
// the groups.
func (pair KeyPair) IssueClient(commonName string, organizations ...string) (KeyPair, error) {
	return pair.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: commonName, Organization: organizations},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// IssueServing signs a serving certificate for host names and IP addresses.
func (pair KeyPair) IssueServing(hosts ...string) (KeyPair, error) {
	return pair.issue(certificates.ServingTemplate(hosts...))
}

// issuePeer signs a certificate that a program can use both as a TLS server and as a TLS client.
func (pair KeyPair) issuePeer(hosts ...string) (KeyPair, error) {
	template := certificates.ServingTemplate(hosts...)
	template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	return pair.issue(template)
}

func (pair KeyPair) issue(template *x509.Certificate) (KeyPair, error) {
	issued, err := certificates.KeyPair(pair).Issue(withLifetime(template))
	return KeyPair(issued), err
}

func withLifetime(template *x509.Certificate) *x509.Certificate {
	now := time.Now()
	template.NotBefore, template.NotAfter = now.Add(-time.Minute), now.Add(certificateLifetime)
	return template
}

// encodePublicKey encodes the public part of a key in the format that kube-apiserver reads to verify tokens.
func encodePublicKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encode a public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// write stores the pair as NAME.crt and NAME.key.
func (pair KeyPair) write(dir, name string) error {
	if err := os.WriteFile(filepath.Join(dir, name+".crt"), pair.CertPEM, 0o600); err != nil {
		return fmt.Errorf("write the certificate %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".key"), pair.KeyPEM, 0o600); err != nil {
		return fmt.Errorf("write the key %s: %w", name, err)
	}
	return nil
}

// readKeyPair reads the files of KeyPair.write.
func readKeyPair(dir, name string) (KeyPair, error) {
	certificate, err := os.ReadFile(filepath.Join(dir, name+".crt")) //nolint:gosec // a directory of the cluster
	if err != nil {
		return KeyPair{}, fmt.Errorf("read the certificate %s: %w", name, err)
	}
	key, err := os.ReadFile(filepath.Join(dir, name+".key")) //nolint:gosec // a directory of the cluster
	if err != nil {
		return KeyPair{}, fmt.Errorf("read the key %s: %w", name, err)
	}
	return KeyPair{CertPEM: certificate, KeyPEM: key}, nil
}
