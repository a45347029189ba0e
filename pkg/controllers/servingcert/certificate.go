// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package servingcert

import (
	"crypto"
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
	"slices"
	"time"
)

const (
	// lifetime is the lifetime of a certificate, and of the CA that signs only that certificate.
	lifetime = 365 * 24 * time.Hour
	// renewBefore is the remaining lifetime at which a certificate is renewed.
	renewBefore = lifetime / 3
	// maxPrevious is the number of previous CAs that clients trust: that of the served certificate, and one whose
	// certificate was never stored because the program ended before.
	maxPrevious = 2
	// backdate allows for differences between clocks.
	backdate = time.Hour
)

// bundle is a serving certificate with its key and its CA, in PEM.
type bundle struct {
	cert, key, ca []byte
}

// issue creates a CA and a certificate that it signs. It discards the key of the CA, so that it cannot be stolen.
func issue(hosts []string, now time.Time) (bundle, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return bundle{}, fmt.Errorf("generating the key of the CA: %w", err)
	}
	ca := &x509.Certificate{
		Subject:  pkix.Name{CommonName: fmt.Sprintf("kubevision-apiserver-ca@%d", now.Unix())},
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	caDER, err := sign(ca, ca, caKey.Public(), caKey, now)
	if err != nil {
		return bundle{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return bundle{}, fmt.Errorf("generating the key of the certificate: %w", err)
	}
	leaf := &x509.Certificate{
		Subject:  pkix.Name{CommonName: hosts[0]},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, host)
		}
	}
	leafDER, err := sign(leaf, ca, key.Public(), caKey, now)
	if err != nil {
		return bundle{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return bundle{}, fmt.Errorf("encoding the key of the certificate: %w", err)
	}
	return bundle{cert: encode("CERTIFICATE", leafDER), key: encode("PRIVATE KEY", keyDER), ca: encode("CERTIFICATE", caDER)}, nil
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("making a serial number: %w", err)
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = now.Add(-backdate), now.Add(lifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	return der, nil
}

func encode(blockType string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
}

// remainingUse returns how long a certificate may still be served for these hosts, or an error if it may not be served.
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

// mergeBundles returns the CA bundle for clients: the new CA, and previous ones while their certificates may still be served.
func mergeBundles(current, previous []byte, now time.Time) []byte {
	out, kept := slices.Clone(current), 0
	for block, rest := pem.Decode(previous); block != nil && kept < maxPrevious; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err == nil && now.Before(cert.NotAfter) {
			out = append(out, pem.EncodeToMemory(block)...)
			kept++
		}
	}
	return out
}
