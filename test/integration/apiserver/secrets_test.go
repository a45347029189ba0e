// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestSecretsKeepTheirValues verifies that responses never contain values of Secrets, for each way to write and to
// request them.
func TestSecretsKeepTheirValues(t *testing.T) {
	namespace := set().Namespace(t, "secrets")
	canary := "canary-" + rand.Text()
	encoded := base64.StdEncoding.EncodeToString([]byte(canary))
	manifests := `{"apiVersion":"v1","kind":"Secret","metadata":{
  "name":"applied","namespace":"` + namespace + `","labels":{"a":"b"}},
  "stringData":{"key":"` + canary + `"},"data":{"other":"` + encoded + `"}}
---
{"apiVersion":"v1","kind":"Secret","metadata":{"name":"typed","namespace":"` + namespace + `"},
  "type":"kubernetes.io/basic-auth","stringData":{"username":"` + canary + `","password":"` + canary + `"}}
---
{"apiVersion":"v1","kind":"Secret","metadata":{
  "name":"immutable","namespace":"` + namespace + `","annotations":{"note":"kept"}},
  "immutable":true,"data":{"key":"` + encoded + `"}}
`
	if _, stderr, err := kubectl(t, manifests, "apply", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	if text, _, err := kubectl(t, "", "-n", namespace, "get", "secret", "applied", "-o", "yaml"); err != nil ||
		!strings.Contains(text, canary) {
		t.Fatalf("the annotation of kubectl apply does not contain the secret values: %v", err)
	}
	a := newActor(t, "admin")
	reader := direct(t)
	becomes(t, reader, wire.OK, wire.Request{Path: wire.DirectPath + onHost + "/namespaces/" + namespace +
		"/resources/secrets", Bearer: a.AccessToken})
	in := onHost + "/namespaces/" + namespace + "/resources/"
	for _, path := range []string{
		in + "secrets", in + "secrets/applied", in + "secrets/typed", in + "secrets/immutable", in + "secrets.v1",
		in + "secrets?limit=1",
		in + "secrets?labelSelector=a%3Db", in + "secrets?fieldSelector=metadata.name%3Dapplied",
		in + "secrets?reveal=true", in + "secrets/applied?reveal=false",
		onHost + "/resources/secrets", onHost + "/resources/secrets?namespace=" + namespace,
		onHost + "/resources/secrets/applied?namespace=" + namespace,
		in + "events", in + "configmaps",
	} {
		for _, base := range []string{wire.DirectPath, wire.GroupPath} {
			e := reader.Call(t, wire.Request{Path: base + path, Bearer: a.AccessToken})
			for name, secret := range map[string]string{"value": canary, "base64": encoded,
				"base64 without its end": encoded[:len(encoded)-4]} {
				if bytes.Contains(e.Raw, []byte(secret)) {
					t.Errorf("%s shows the %s of a Secret", path, name)
				}
			}
		}
	}
	e := reader.Call(t, wire.Request{Path: wire.DirectPath + in + "secrets/applied", Bearer: a.AccessToken}).Want(t,
		wire.OK)
	for _, kept := range []string{`"key":`, `"other":`, `"name":"applied"`, `"kind":"Secret"`} {
		if !bytes.Contains(e.Raw, []byte(kept)) {
			t.Errorf("the keys must stay, %s is missing: %s", kept, e.Data)
		}
	}
}

// TestOurOwnSecrets verifies that KubeVision's own Secrets cannot be read, even with the right to read all Secrets.
func TestOurOwnSecrets(t *testing.T) {
	a := newActor(t, "admin")
	path := onHost + "/namespaces/kubevision-system/resources/secrets"
	becomes(t, direct(t), wire.OK, wire.Request{Path: wire.DirectPath + path, Bearer: a.AccessToken})
	for _, name := range []string{"", "/kubevision-signing-keys", "/kubevision-admin-password",
		"/kubevision-apiserver-tls", "/kubevision-credentials-" + a.Name} {
		e := direct(t).Call(t, wire.Request{Path: wire.DirectPath + path + name, Bearer: a.AccessToken}).Want(t,
			wire.OK)
		for _, secret := range []string{
			base64.StdEncoding.EncodeToString([]byte(a.Password)),
			base64.StdEncoding.EncodeToString([]byte("$argon2id$v=19$")),
			base64.StdEncoding.EncodeToString([]byte("-----BEGIN PRIVATE")),
		} {
			if bytes.Contains(e.Raw, []byte(secret)) {
				t.Errorf("%s shows a value", path+name)
			}
		}
	}
}
