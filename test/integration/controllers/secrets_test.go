// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/names"
)

func ownSecret(name string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: name}}
}

func apiService() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("apiregistration.k8s.io/v1")
	u.SetKind("APIService")
	u.SetName(names.APIService)
	return u
}

func caBundle(ctx context.Context) (string, error) {
	u := apiService()
	if err := env.Client.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
		return "", err
	}
	bundle, _, err := unstructured.NestedString(u.Object, "spec", "caBundle")
	return bundle, err
}

func TestKeysAndCertificateAreMadeOnce(t *testing.T) {
	guard(t)
	keys, cert := read(t, ownSecret(names.SigningKeysSecret)), read(t, ownSecret(names.ServingCertSecret))
	bundle, err := caBundle(t.Context())
	if err != nil || bundle == "" {
		t.Fatalf("the caBundle is %q (%v)", bundle, err)
	}
	if len(keys.Data) != 1 || cert.Type != corev1.SecretTypeTLS {
		t.Errorf("there are %d signing keys, and a certificate of type %s", len(keys.Data), cert.Type)
	}
	restart(t)
	awaitLeader(t)
	crash(t)
	awaitLeader(t)
	holds(t, 2*time.Second, "after restarts", func(ctx context.Context) error {
		if again := read(t, ownSecret(names.SigningKeysSecret)); again.ResourceVersion != keys.ResourceVersion {
			return errors.New("the signing keys were written")
		}
		if again := read(t, ownSecret(names.ServingCertSecret)); again.ResourceVersion != cert.ResourceVersion {
			return errors.New("the certificate was written")
		}
		if again, err := caBundle(ctx); err != nil || again != bundle {
			return errors.New("the caBundle was written")
		}
		return nil
	})
}

func TestCertificateBundleIsRepaired(t *testing.T) {
	guard(t)
	bundle, err := caBundle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, how := range map[string]func(*unstructured.Unstructured) error{
		"removed": func(u *unstructured.Unstructured) error {
			unstructured.RemoveNestedField(u.Object, "spec", "caBundle")
			return nil
		},
		"replaced": func(u *unstructured.Unstructured) error {
			return unstructured.SetNestedField(u.Object, "Z2FyYmFnZQ==", "spec", "caBundle")
		},
		"verification switched off": func(u *unstructured.Unstructured) error {
			unstructured.RemoveNestedField(u.Object, "spec", "caBundle")
			return unstructured.SetNestedField(u.Object, true, "spec", "insecureSkipTLSVerify")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { restoreTLSVerification(t) })
			change(t, apiService(), func(u *unstructured.Unstructured) {
				if err := how(u); err != nil {
					t.Fatal(err)
				}
			})
			eventually(t, repairTime, "wait for the caBundle", func(ctx context.Context) error {
				now, err := caBundle(ctx)
				if err == nil && now != bundle {
					err = errors.New("it is " + now)
				}
				return err
			})
		})
	}
	eventually(t, soon, "reach the API through kube-apiserver", throughTheAggregator)
}

func restoreTLSVerification(tb testing.TB) {
	tb.Helper()
	ctx, cancel := later(tb)
	defer cancel()
	u := apiService()
	if err := env.Client.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
		tb.Fatal(err)
	}
	if insecure, _, _ := unstructured.NestedBool(u.Object, "spec", "insecureSkipTLSVerify"); insecure {
		unstructured.RemoveNestedField(u.Object, "spec", "insecureSkipTLSVerify")
		if err := env.Client.Update(ctx, u); err != nil {
			tb.Errorf("verifying again: %v", err)
		}
	}
}

func throughTheAggregator(ctx context.Context) error {
	out, err := env.Cluster.Kubectl(ctx, "get", "--raw", "/apis/dashboard.kubevision.io/v1alpha1/users/me")
	if err == nil && !strings.Contains(out, `"code":0`) {
		err = errors.New("the answer is " + out)
	}
	return err
}

// serves returns an error unless kubevision-apiserver presents a certificate that the authority has signed.
func serves(ctx context.Context, ca []byte) error {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return errors.New("there is no authority")
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	connection, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(env.KubeVision.Endpoint(), "https://"))
	if err != nil {
		return err
	}
	return connection.Close()
}

func TestGarbageInsteadOfTheCertificate(t *testing.T) {
	other := []byte("garbage")
	for name, garbage := range map[string]func(*corev1.Secret){
		"no certificate": func(s *corev1.Secret) { s.Data[corev1.TLSCertKey] = other },
		"no key":         func(s *corev1.Secret) { s.Data[corev1.TLSPrivateKeyKey] = other },
		"no authority":   func(s *corev1.Secret) { delete(s.Data, "ca.crt") },
		"all of it": func(s *corev1.Secret) {
			s.Data = map[string][]byte{corev1.TLSCertKey: other, corev1.TLSPrivateKeyKey: other, "ca.crt": other}
		},
	} {
		t.Run(name, func(t *testing.T) {
			guard(t)
			pid := env.KubeVision.APIServer().PID()
			before := read(t, ownSecret(names.ServingCertSecret))
			change(t, ownSecret(names.ServingCertSecret), garbage)
			now := ownSecret(names.ServingCertSecret)
			eventually(t, repairTime, "wait for a new certificate", func(ctx context.Context) error {
				if err := env.Client.Get(ctx, client.ObjectKeyFromObject(now), now); err != nil {
					return err
				}
				if _, err := tls.X509KeyPair(now.Data[corev1.TLSCertKey],
					now.Data[corev1.TLSPrivateKeyKey]); err != nil {
					return err
				}
				if bytes.Equal(now.Data[corev1.TLSCertKey], before.Data[corev1.TLSCertKey]) ||
					len(now.Data["ca.crt"]) == 0 {
					return errors.New("it is the old one")
				}
				return nil
			})
			if err := env.KubeVision.ExportServingCertificate(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, 90*time.Second, "wait until the new certificate is served",
				func(ctx context.Context) error { return serves(ctx, now.Data["ca.crt"]) })
			if err := env.KubeVision.WaitAvailable(t.Context()); err != nil {
				t.Error(err)
			}
			eventually(t, soon, "reach the API through kube-apiserver", throughTheAggregator)
			if again := env.KubeVision.APIServer().PID(); again != pid {
				t.Errorf("kubevision-apiserver was process %d and is %d", pid, again)
			}
		})
	}
}

// TestGarbageInsteadOfTheSigningKeys verifies that unreadable signing keys are not replaced, because new keys would end
// all sessions.
func TestGarbageInsteadOfTheSigningKeys(t *testing.T) {
	guard(t)
	before := read(t, ownSecret(names.SigningKeysSecret)).Data
	t.Cleanup(func() {
		ctx, cancel := later(t)
		defer cancel()
		s := ownSecret(names.SigningKeysSecret)
		s.Data = before
		if err := env.Programs.Update(ctx, s); err != nil {
			t.Errorf("putting the signing keys back: %v", err)
		}
	})
	value := newPassword()
	u := newUser(t, newSource(t, value).Name)
	awaitReady(t, u)
	garbage := map[string][]byte{"key": []byte("garbage")}
	change(t, ownSecret(names.SigningKeysSecret), func(s *corev1.Secret) { s.Data = garbage })
	holds(t, 2*time.Second, "the signing keys", func(context.Context) error {
		if now := read(t, ownSecret(names.SigningKeysSecret)).Data; !maps.EqualFunc(now, garbage, bytes.Equal) {
			return errors.New("another client has written them")
		}
		return nil
	})
}
