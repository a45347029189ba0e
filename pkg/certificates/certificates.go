// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package certificates issues X.509 certificates with ECDSA keys.
package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
)

// serialBits is the number of random bits in a serial number. A number of 127 bits and its sign bit need 16 bytes. RFC
// 5280 allows at most 20 bytes.
const serialBits = 127

// KeyPair is a certificate and its private key, both in PEM.
type KeyPair struct {
	CertPEM []byte
	KeyPEM  []byte
}

// SelfSigned returns a self-signed certificate with the properties of the template. It generates the key and the serial
// number.
func SelfSigned(template *x509.Certificate) (KeyPair, error) {
	key, err := generateKey()
	if err != nil {
		return KeyPair{}, err
	}
	return sign(template, key, template, key)
}

// Issue returns a certificate with the properties of the template. The receiver is the certificate authority that signs
// it. Issue generates the key and the serial number. It returns an error if the receiver is invalid.
func (pair KeyPair) Issue(template *x509.Certificate) (KeyPair, error) {
	authority, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		return KeyPair{}, fmt.Errorf("loading the certificate authority: %w", err)
	}
	authorityKey, ok := authority.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return KeyPair{}, errors.New("the key of the certificate authority is not an ECDSA key")
	}
	key, err := generateKey()
	if err != nil {
		return KeyPair{}, err
	}
	return sign(template, key, authority.Leaf, authorityKey)
}

// ServingTemplate returns a template for a serving certificate that is valid for the hosts, which are names or IP
// addresses. The first host is the common name.
func ServingTemplate(hosts ...string) *x509.Certificate {
	template := &x509.Certificate{
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	if len(hosts) > 0 {
		template.Subject.CommonName = hosts[0]
	}
	return template
}

func generateKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generating a key: %w", err)
	}
	return key, nil
}

func sign(
	template *x509.Certificate, key *ecdsa.PrivateKey, parent *x509.Certificate, parentKey *ecdsa.PrivateKey,
) (KeyPair, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return KeyPair{}, fmt.Errorf("generating a serial number: %w", err)
	}
	template.SerialNumber = serial
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return KeyPair{}, fmt.Errorf("signing the certificate of %q: %w", template.Subject.CommonName, err)
	}
	keyPEM, err := EncodeKey(key)
	if err != nil {
		return KeyPair{}, err
	}
	return KeyPair{CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), KeyPEM: keyPEM}, nil
}

// EncodeKey returns a private key in PEM.
func EncodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
