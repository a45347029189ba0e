// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/pkg/names"
)

func agedSigningKey(tb testing.TB, ago time.Duration) (name string, value []byte) {
	tb.Helper()
	name, value, err := token.NewKey(time.Now().Add(-ago))
	if err != nil {
		tb.Fatal(err)
	}
	return name, value
}

func certificates(bundle []byte) []string {
	var out []string
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		out = append(out, string(block.Bytes))
	}
	return out
}

// awaitTrust waits until the Secret of the serving certificate contains a certificate other than oldCert, and the
// APIService contains the CA certificates of the Secret. awaitTrust returns the CA certificates, in DER.
func awaitTrust(t *testing.T, oldCert []byte) []string {
	t.Helper()
	var trusted []string
	eventually(t, soon, "find another certificate", func(ctx context.Context) error {
		s := ownSecret(names.ServingCertSecret)
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(s), s); err != nil {
			return err
		}
		encoded, err := caBundle(ctx)
		if err != nil {
			return err
		}
		bundle, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return err
		}
		trusted = certificates(bundle)
		if bytes.Equal(s.Data[corev1.TLSCertKey], oldCert) || !bytes.Equal(bundle, s.Data["ca.crt"]) {
			return errors.New("it is the old one")
		}
		return nil
	})
	return trusted
}

// TestServingCertificateIsReplaced verifies two replacements of the serving certificate and its CA:
//   - After the Secret is deleted, clients trust the previous CA in addition, because some replicas may still serve the
//     previous certificate.
//   - After an annotation marks the certificate as compromised, clients trust only the new CA.
func TestServingCertificateIsReplaced(t *testing.T) {
	guard(t)
	secret := read(t, ownSecret(names.ServingCertSecret))
	previous := certificates(secret.Data["ca.crt"])[0]
	remove(t, secret)
	trusted := awaitTrust(t, secret.Data[corev1.TLSCertKey])
	if !slices.Contains(trusted[1:], previous) {
		t.Errorf("of %d CAs that are trusted, none is the previous one", len(trusted))
	}

	secret = read(t, ownSecret(names.ServingCertSecret))
	mark := merge(`{"metadata":{"annotations":{"` + names.CompromisedServingCertAnnotation + `":""}}}`)
	if err := env.Client.Patch(t.Context(), apiService(), mark); err != nil {
		t.Fatal(err)
	}
	if now := awaitTrust(t, secret.Data[corev1.TLSCertKey]); len(now) != 1 || slices.Contains(trusted, now[0]) {
		t.Errorf("%d CAs are trusted after a compromise", len(now))
	}
	eventually(t, soon, "remove the mark", func(ctx context.Context) error {
		a := apiService()
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(a), a); err != nil {
			return err
		}
		if _, marked := a.GetAnnotations()[names.CompromisedServingCertAnnotation]; marked {
			return errors.New("it is there")
		}
		return nil
	})
	if err := env.KubeVision.ExportServingCertificate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := env.KubeVision.WaitAvailable(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSigningKeysRotate verifies that a new signing key is created when the current key is too old. The previous key is
// kept while tokens with its signature are valid. It is deleted afterwards.
func TestSigningKeysRotate(t *testing.T) {
	const day = 24 * time.Hour
	guard(t)
	before := read(t, ownSecret(names.SigningKeysSecret)).Data
	defer change(t, ownSecret(names.SigningKeysSecret), func(s *corev1.Secret) { s.Data = before })
	gone, goneKey := agedSigningKey(t, 70*day)
	old, oldKey := agedSigningKey(t, 31*day)
	change(t, ownSecret(names.SigningKeysSecret), func(s *corev1.Secret) {
		s.Data = map[string][]byte{gone: goneKey, old: oldKey}
	})
	eventually(t, soon, "find another key", func(ctx context.Context) error {
		s := ownSecret(names.SigningKeysSecret)
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(s), s); err != nil {
			return err
		}
		keys, err := token.ParseKeys(s.Data)
		if err != nil {
			return err
		}
		if len(keys) != 2 || keys[0].ID+".pem" != old || time.Since(keys[1].Created) > time.Minute {
			return fmt.Errorf("there are %d keys", len(keys))
		}
		return nil
	})
}
