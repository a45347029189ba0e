// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificateLifetime exceeds the lifetime of any cluster: nothing renews the authority of a cluster that is kept
// between runs.
const certificateLifetime = 10 * 365 * 24 * time.Hour

// KeyPair is a certificate with its private key, both PEM encoded.
type KeyPair struct {
	CertPEM []byte
	KeyPEM  []byte
}

// NewAuthority creates a self-signed certificate authority.
func NewAuthority(commonName string) (KeyPair, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	key, err := newKey()
	if err != nil {
		return KeyPair{}, err
	}
	return sign(template, key, template, key)
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
	template := servingTemplate(hosts)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return pair.issue(template)
}

// issuePeer signs a certificate for both sides of a connection.
func (pair KeyPair) issuePeer(hosts ...string) (KeyPair, error) {
	template := servingTemplate(hosts)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return pair.issue(template)
}

func servingTemplate(hosts []string) *x509.Certificate {
	template := &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
			continue
		}
		template.DNSNames = append(template.DNSNames, host)
	}
	if len(hosts) > 0 {
		template.Subject.CommonName = hosts[0]
	}
	return template
}

func (pair KeyPair) issue(template *x509.Certificate) (KeyPair, error) {
	authority, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		return KeyPair{}, fmt.Errorf("load the certificate authority: %w", err)
	}
	authorityKey, ok := authority.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return KeyPair{}, errors.New("the key of the certificate authority is not an ECDSA key")
	}
	key, err := newKey()
	if err != nil {
		return KeyPair{}, err
	}
	return sign(template, key, authority.Leaf, authorityKey)
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate a key: %w", err)
	}
	return key, nil
}

func sign(template *x509.Certificate, key *ecdsa.PrivateKey, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (KeyPair, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return KeyPair{}, fmt.Errorf("generate a serial number: %w", err)
	}
	now := time.Now()
	template.SerialNumber = serial
	template.NotBefore = now.Add(-time.Minute)
	template.NotAfter = now.Add(certificateLifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return KeyPair{}, fmt.Errorf("sign the certificate of %q: %w", template.Subject.CommonName, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return KeyPair{}, err
	}
	return KeyPair{
		CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		KeyPEM:  keyPEM,
	}, nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// encodePublicKey encodes a key in the form with which kube-apiserver verifies tokens.
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
