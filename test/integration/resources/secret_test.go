// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	password   = "correct-horse-battery"
	masked     = "******"
	maskedB64  = "KioqKioq"
	differs    = "****** (differs)"
	differsB64 = "KioqKioqIChkaWZmZXJzKQ=="
)

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// applied creates a Secret like client-side kubectl apply, with a copy of the Secret in an annotation.
func applied(tb testing.TB, ns, name string) *corev1.Secret {
	tb.Helper()
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Annotations: map[string]string{
			corev1.LastAppliedConfigAnnotation: `{"apiVersion":"v1","data":{"password":"` + b64(password) +
				`"},"kind":"Secret"}`, "note": "kept",
		}},
		Data: map[string][]byte{"password": []byte(password), "user": []byte("app")},
	}
	set().Create(tb, s)
	return s
}

// hides fails the test if a response contains a value of a Secret.
func hides(tb testing.TB, e wire.Envelope) {
	tb.Helper()
	for _, value := range []string{password, b64(password)} {
		if strings.Contains(string(e.Raw), value) {
			tb.Errorf("the value shows: %s", e.Raw)
		}
	}
}

func stored(tb testing.TB, s *corev1.Secret) *corev1.Secret {
	tb.Helper()
	found := &corev1.Secret{}
	if err := set().Client.Get(tb.Context(), client.ObjectKeyFromObject(s), found); err != nil {
		tb.Fatal(err)
	}
	return found
}

// TestAMaskedSecretWrittenBack verifies that a write with the mask "******" in place of a value does not change the
// stored value of the Secret.
func TestAMaskedSecretWrittenBack(t *testing.T) {
	ns := set().Namespace(t, "masked")
	dev := newPerson(t, "dev", ns)
	s := applied(t, ns, "app")
	path := in(ns, "secrets", "app")

	e := dev.get(t, path)
	hides(t, e)
	read := decoded(t, e)
	if at(read, "data", "password") != maskedB64 ||
		at(read, "metadata", "annotations", corev1.LastAppliedConfigAnnotation) != masked {
		t.Fatalf("read %v", read)
	}
	part(t, read, "data")["user"] = b64("other")
	read["stringData"] = object{"more": "added", "password": masked}
	hides(t, dev.send(t, http.MethodPut, path, jsonType, encoded(t, read)).Want(t, wire.OK))

	now := stored(t, s)
	if string(now.Data["password"]) != password || string(now.Data["user"]) != "other" ||
		string(now.Data["more"]) != "added" {
		t.Errorf("the data are %v", now.Data)
	}
	if now.Annotations[corev1.LastAppliedConfigAnnotation] != s.Annotations[corev1.LastAppliedConfigAnnotation] ||
		now.Annotations["note"] != "kept" {
		t.Errorf("the annotations are %v", now.Annotations)
	}

	for contentType, body := range map[string]string{
		mergeType: `{"data":{"password":"` + maskedB64 + `","merge":"` + b64("1") + `"},"stringData":{"user":"` +
			masked + `"}}`,
		strategicType: `{"data":{"password":"` + maskedB64 + `","strategic":"` + b64("1") + `"}}`,
		applyType: `{"apiVersion":"v1","kind":"Secret","data":{"password":"` + maskedB64 + `","applied":"` +
			b64("1") + `"}}`,
	} {
		hides(t, dev.send(t, http.MethodPatch, path+force(contentType), contentType, body).Want(t, wire.OK))
	}
	now = stored(t, s)
	if string(now.Data["password"]) != password || string(now.Data["user"]) != "other" || len(now.Data) != 6 {
		t.Errorf("the data are %v", now.Data)
	}
}

func force(contentType string) string {
	if contentType == applyType {
		return "?force=true"
	}
	return ""
}

// TestAPlaceholderForNothing verifies that a placeholder without a stored value is rejected. Otherwise, the placeholder
// would be stored as the value.
func TestAPlaceholderForNothing(t *testing.T) {
	ns := set().Namespace(t, "placeholder")
	dev := newPerson(t, "dev", ns)
	applied(t, ns, "app")
	path, secrets := in(ns, "secrets", "app"), in(ns, "secrets")
	version, ok := at(decoded(t, dev.get(t, path)), "metadata", "resourceVersion").(string)
	if !ok {
		t.Fatal("there is no resource version")
	}
	for name, tc := range map[string]struct{ method, path, contentType, body, field string }{
		"a new Secret": {http.MethodPost, secrets, jsonType,
			`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"data":{"p":"` + maskedB64 + `"}}`, "data.p"},
		"a new one of text": {http.MethodPost, secrets, jsonType,
			`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"stringData":{"p":"` + masked + `"}}`,
			"stringData.p"},
		"a new key": {http.MethodPut, path, jsonType,
			`{"apiVersion":"v1","kind":"Secret","metadata":{"resourceVersion":"` + version + `"},"data":{"none":"` +
				maskedB64 + `"}}`, "data.none"},
		"an operation": {http.MethodPatch, path, jsonPatchType,
			`[{"op":"replace","path":"/data/password","value":"` + maskedB64 + `"}]`, "body"},
		"a difference, in a new Secret": {
			http.MethodPost, secrets, jsonType,
			`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"stringData":{"p":"` + differs + `"}}`,
			"stringData.p",
		},
		"a difference": {
			http.MethodPut, path, jsonType,
			`{"apiVersion":"v1","kind":"Secret","metadata":{"resourceVersion":"` + version +
				`"},"data":{"password":"` + differsB64 + `"}}`, "data.password",
		},
		"a difference, patched": {
			http.MethodPatch, path, mergeType, `{"data":{"password":"` + differsB64 + `"}}`, "data.password",
		},
		"a difference, applied": {
			http.MethodPatch, path, applyType,
			`{"apiVersion":"v1","kind":"Secret","data":{"password":"` + differsB64 + `"}}`, "data.password",
		},
		"a difference, operation": {
			http.MethodPatch, path, jsonPatchType,
			`[{"op":"replace","path":"/data/password","value":"` + differsB64 + `"}]`, "body",
		},
	} {
		if e := dev.send(t, tc.method, tc.path, tc.contentType,
			tc.body).Want(t, wire.Invalid); e.Meta.Field != tc.field {
			t.Errorf("%s: the field is %q (%s)", name, e.Meta.Field, e.Message)
		}
	}
}

// TestNoErrorRepeatsASecret verifies that errors contain neither stored nor sent values.
func TestNoErrorRepeatsASecret(t *testing.T) {
	ns := set().Namespace(t, "repeats")
	dev := newPerson(t, "dev", ns)
	applied(t, ns, "app")
	forbid(t, ns)
	path, secrets := in(ns, "secrets", "app"), in(ns, "secrets")
	sent := `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"app"}`
	for _, tc := range []struct{ method, path, contentType, body string }{
		{http.MethodPatch, path, mergeType, `{"spec":{}}`},
		{http.MethodPatch, path, strategicType, `{"spec":{}}`},
		{http.MethodPatch, path, jsonPatchType, `[{"op":"add","path":"/spec","value":1}]`},
		{http.MethodPatch, path, jsonPatchType, `[{"op":"test","path":"/data/password","value":"x"}]`},
		{http.MethodPatch, path, jsonPatchType, `[{"op":"move","from":"/data","path":"/kind"}]`},
		{http.MethodPatch, path, jsonPatchType, `[{"op":"copy","from":"/data/password","path":"/metadata/name"}]`},
		{http.MethodPatch, path, jsonPatchType, `[{"op":"copy","from":"/data/password","path":"/type"}]`},
		{http.MethodPatch, path, mergeType, `{"data":"` + password + `"}`},
		{http.MethodPatch, path, mergeType, `{"data":{"p":"` + password + `"}}`},
		{http.MethodPatch, path, applyType, sent + `,"data":{"p":"` + password + `"}}`},
		{http.MethodPatch, path, applyType, sent + `,"data":["` + password + `"]}`},
		{http.MethodPost, secrets, jsonType, sent + `,"data":{"p":"` + password + `"}}`},
		{http.MethodPost, secrets, jsonType, sent + `,"data":{"p":{"x":"` + password + `"}}}`},
		{http.MethodPost, secrets, jsonType, sent + `,"stringData":{"p":["` + password + `"]}}`},
		{http.MethodPost, secrets, jsonType,
			sent + `,"type":"kubernetes.io/tls","stringData":{"p":"` + password + `"}}`},
		{http.MethodPost, secrets, jsonType,
			sent + `,"type":"kubernetes.io/dockerconfigjson","stringData":{".dockerconfigjson":"` + password + `"}}`},
		{http.MethodPost, secrets, jsonType,
			`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"other"},"stringData":{"forbidden":"` +
				password + `"}}`},
		{http.MethodPatch, path, mergeType, `{"data":{"forbidden":"` + b64(password) + `"}}`},
		{http.MethodPost, secrets, yamlType, "data:\n  p: " + password + "\n q"},
	} {
		for _, way := range []string{"", "/dry-run"} {
			e := dev.send(t, tc.method, tc.path+way, tc.contentType, tc.body)
			if e.Code == wire.OK || e.Code == wire.Internal {
				t.Errorf("%s %s: code %d (%s)", tc.contentType, tc.body, e.Code, e.Message)
			}
			hides(t, e)
		}
	}
	text := logs(t)
	if strings.Contains(text, password) || strings.Contains(text, b64(password)) {
		t.Error("the value is in the logs")
	}
}

func logs(tb testing.TB) string {
	tb.Helper()
	var all strings.Builder
	for _, text := range env.Logs(tb) {
		all.Write(text)
	}
	return all.String()
}

// TestReveal verifies that revealing the values of a Secret requires the right to get the Secret, and is recorded.
func TestReveal(t *testing.T) {
	ns := set().Namespace(t, "reveal")
	dev, viewer := newPerson(t, "dev", ns), newPerson(t, "readonly", ns)
	applied(t, ns, "app")
	path := in(ns, "secrets", "app")
	if got := at(decoded(t, dev.get(t, path+"?reveal=true")), "data", "password"); got != b64(password) {
		t.Errorf("revealed %v", got)
	}
	hides(t, dev.get(t, path+"?reveal=false").Want(t, wire.OK))
	hides(t, dev.get(t, in(ns, "secrets")).Want(t, wire.OK))
	for query, field := range map[string]string{path + "?reveal=1": "reveal",
		in(ns, "secrets") + "?reveal=true":                        "reveal",
		in(ns, "configmaps", "kube-root-ca.crt") + "?reveal=true": "reveal"} {
		if e := dev.get(t, query).Want(t, wire.Invalid); e.Meta.Field != field {
			t.Errorf("%s: the field is %q", query, e.Meta.Field)
		}
	}
	viewer.get(t, path+"?reveal=true").Want(t, wire.Forbidden)
	dev.get(t, in("kube-system", "secrets", "app")+"?reveal=true").Want(t, wire.NamespaceForbidden)
	for line := range strings.Lines(logs(t)) {
		if strings.Contains(line, "SecretRevealed") && strings.Contains(line, dev.Name) &&
			strings.Contains(line, host+"/"+ns+"/app") {
			return
		}
	}
	t.Error("it is not in the log")
}

func TestRevealTakesAFreshCode(t *testing.T) {
	ns := set().Namespace(t, "fresh")
	dev := newPerson(t, "dev", ns)
	applied(t, ns, "app")
	var factor struct{ Secret string }
	account := func(path, body string) wire.Envelope {
		return dev.client.Call(t, wire.Request{Method: http.MethodPost, Path: wire.DirectPath + path,
			Bearer: dev.AccessToken, Body: body}).Want(t, wire.OK)
	}
	account("/auth/2fa/setup", `{}`).Into(t, &factor)
	account("/auth/2fa/enable", `{"code":"`+fixture.Code(t, factor.Secret, -1)+`"}`)
	reveal := wire.Request{Path: wire.DirectPath + "/clusters/" + host + in(ns, "secrets", "app") + "?reveal=true",
		Bearer: dev.AccessToken}
	hides(t, dev.client.Call(t, reveal).Want(t, wire.TwoFactorRequired))
	reveal.Header = http.Header{"X-KubeVision-TOTP": {"000000"}}
	hides(t, dev.client.Call(t, reveal).Want(t, wire.TwoFactorFailed))
	reveal.Header = http.Header{"X-KubeVision-TOTP": {fixture.Code(t, factor.Secret, 0)}}
	if got := at(decoded(t, dev.client.Call(t, reveal)), "data", "password"); got != b64(password) {
		t.Errorf("revealed %v", got)
	}
	hides(t, dev.client.Call(t, reveal).Want(t, wire.TwoFactorFailed)) // each code is valid once
}
