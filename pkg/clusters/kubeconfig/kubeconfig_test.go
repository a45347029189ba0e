// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package kubeconfig

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/pkg/certificates"
)

func pair(tb testing.TB, expires time.Time) (certificate, key []byte) {
	tb.Helper()
	issued, err := certificates.SelfSigned(&x509.Certificate{NotAfter: expires})
	if err != nil {
		tb.Fatal(err)
	}
	return issued.CertPEM, issued.KeyPEM
}

// written returns a kubeconfig with additional fields in its cluster, in its user, or at the top level.
func written(cluster, user, top string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: main
contexts:
- name: main
  context: {cluster: c, user: u, namespace: default}
clusters:
- name: c
  cluster:
    server: https://kube.example:6443
%s
users:
- name: u
  user:
%s
%s
`, cluster, user, top)
}

const token = "    token: s3cr3t-canary"

func TestParse(t *testing.T) {
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	certificate, key := pair(t, expires)
	encode := base64.StdEncoding.EncodeToString
	k,
		err := Parse([]byte(written("    certificate-authority-data: "+encode(
		certificate)+"\n    tls-server-name: other.example",
		"    client-certificate-data: "+encode(certificate)+"\n    client-key-data: "+encode(
			key), "preferences: {colors: true}")))
	if err != nil {
		t.Fatal(err)
	}
	if k.Server != "https://kube.example:6443" || k.ServerName != "other.example" || !bytes.Equal(k.CA, certificate) ||
		!k.Expires.Equal(expires) {
		t.Errorf("read as %+v", k)
	}
	claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, expires.Unix()))
	k, err = Parse([]byte(written("", "    token: e30."+claims+".sig", "")))
	if err != nil {
		t.Fatal(err)
	}
	if !k.Expires.Equal(expires) || k.Config().BearerToken != k.Token || k.Config().Insecure {
		t.Errorf("read as %+v", k)
	}
}

func TestHarmlessFields(t *testing.T) {
	for name, text := range map[string]string{
		"no exec plugin": written("",
			token+"\n    exec: null\n    auth-provider: {}\n    as-groups: []\n    tokenFile: ''", ""),
		"TLS is verified": written(
			"    insecure-skip-tls-verify: false\n    proxy-url: ''\n    certificate-authority: null", token, ""),
		"a user who is not used": written("", token+"\n- name: other\n  user: {exec: null, username: ''}",
			"server: null"),
		"one context, not chosen": strings.Replace(written("", token, ""), "current-context: main\n", "", 1),
		"an empty choice": strings.Replace(written("", token, ""), "current-context: main\n",
			"current-context: ''\n", 1),
	} {
		t.Run(name, func(t *testing.T) {
			k, err := Parse([]byte(text))
			if err != nil || k.Token != "s3cr3t-canary" || k.Config().Insecure {
				t.Errorf("read as %+v (%v)", k, err)
			}
		})
	}
	several := strings.Replace(written("", token, ""), "current-context: main\ncontexts:\n",
		"contexts:\n- name: other\n  context: {cluster: c, user: u}\n", 1)
	for text, want := range map[string]string{
		several: "several contexts",
		written("", token+"\n    exec: {command: null}", ""): "users[0].user.exec",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that speaks of %q", err, want)
		}
	}
}

func TestExpiry(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	certificate, key := pair(t, now)
	encode := base64.StdEncoding.EncodeToString
	for want, user := range map[string]string{
		"the client certificate of the kubeconfig expired on 2026-01-02T03:04:05Z": "    client-certificate-data: " +
			encode(certificate) + "\n    client-key-data: " + encode(key),
		"the token of the kubeconfig expired on 2026-01-02T03:04:05Z": "    token: e30." +
			base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"exp":%d}`, now.Unix())) + ".sig",
	} {
		k, err := Parse([]byte(written("", user, "")))
		if err != nil {
			t.Fatal(err)
		}
		if err := k.CheckExpiry(now); err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
		if err := k.CheckExpiry(now.Add(-time.Second)); err != nil {
			t.Errorf("before that: %v", err)
		}
	}
	if err := (&Kubeconfig{Token: "opaque"}).CheckExpiry(now); err != nil {
		t.Errorf("a token that says nothing: %v", err)
	}
}

func TestRefusedFieldsAreNamed(t *testing.T) {
	const path = "/var/run/secrets/s3cr3t-canary"
	for name, tc := range map[string]struct{ cluster, user, top, want string }{
		"a program": {"", token + "\n    exec: {apiVersion: v1, command: s3cr3t-canary}", "",
			"users[0].user.exec"},
		"an auth provider": {"", token + "\n    auth-provider: {name: gcp}", "",
			"users[0].user.auth-provider"},
		"a token's file": {"", "    tokenFile: " + path, "", "users[0].user.tokenFile"},
		"a certificate's file": {"", token + "\n    client-certificate: " + path, "",
			"users[0].user.client-certificate"},
		"a key's file": {"", token + "\n    client-key: " + path, "", "users[0].user.client-key"},
		"a user name": {"", "    username: u\n    password: s3cr3t-canary", "",
			"users[0].user.password, users[0].user.username"},
		"somebody to act as": {"", token + "\n    as: admin", "", "users[0].user.as"},
		"groups to act in": {"", token + "\n    as-groups: [system:masters]", "",
			"users[0].user.as-groups"},
		"a UID to act as": {"", token + "\n    as-uid: x", "", "users[0].user.as-uid"},
		"more to act as": {"", token + "\n    as-user-extra: {a: [b]}", "",
			"users[0].user.as-user-extra"},
		"an authority's file": {"    certificate-authority: " + path, token, "",
			"clusters[0].cluster.certificate-authority"},
		"no verification": {"    insecure-skip-tls-verify: true", token, "",
			"clusters[0].cluster.insecure-skip-tls-verify"},
		"a proxy":                   {"    proxy-url: http://127.0.0.1", token, "", "clusters[0].cluster.proxy-url"},
		"an unknown field":          {"", token, "server: x", "server"},
		"a field in other capitals": {"", "    Token: s3cr3t-canary", "", "users[0].user.Token"},
		"a user who is not used": {"", token + "\n- name: other\n  user: {exec: {command: x}}", "",
			"users[1].user.exec"},
		"two credentials": {"", token + "\n    client-certificate-data: YQ==", "", "both"},
		"a certificate of rubbish": {"", "    client-certificate-data: YQ==\n    client-key-data: YQ==", "",
			"must be a certificate"},
		"a certificate without a key": {"", "    client-certificate-data: YQ==", "", "must be a certificate"},
		"an authority of rubbish": {"    certificate-authority-data: YQ==", token, "",
			"certificate-authority-data"},
		"what is not base64":           {"    certificate-authority-data: '!'", token, "", "base64"},
		"no credential":                {"", "    extensions: []", "", "no credential"},
		"a token of two lines":         {"", `    token: "s3cr3t-canary\nx"`, "", "line feeds"},
		"anchors":                      {"", "    token: &a s3cr3t-canary", "extensions: [{name: *a}]", "anchors"},
		"a field twice":                {"", token + "\n" + token, "", "not valid YAML"},
		"another kind":                 {"", token, "", ""},
		"a current context of nothing": {"", token, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := written(tc.cluster, tc.user, tc.top)
			switch name {
			case "another kind":
				text, tc.want = strings.Replace(text, "kind: Config", "kind: Pod", 1), "kind must be Config"
			case "a current context of nothing":
				text, tc.want = strings.Replace(text, "current-context: main", "current-context: x",
					1), "current-context"
			}
			_, err := Parse([]byte(text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want an error that speaks of %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error holds what was read: %v", err)
			}
		})
	}
}

func TestServers(t *testing.T) {
	for server, want := range map[string]string{
		"https://kube.example":              "",
		"https://192.0.2.1:6443/k8s/c1/":    "",
		"https://[2001:db8::1]:6443":        "",
		"http://kube.example":               "https://",
		"kube.example:6443":                 "URL",
		"file:///etc/passwd":                "URL",
		"unix:///var/run/docker.sock":       "URL",
		"https://":                          "URL",
		"https://user:pw@kube.example":      "no user",
		"https://kube.example?x=y":          "no user",
		"https://kube.example/#x":           "no user",
		"https://:6443":                     "URL",
		`""`:                                "missing",
		`"https://kube.example/\u0000evil"`: "URL",
	} {
		_, err := Parse([]byte(strings.Replace(written("", token, ""), "https://kube.example:6443", server, 1)))
		if (want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", server, err, want)
		}
	}
}

func TestSizes(t *testing.T) {
	if _, err := Parse([]byte(written("", token, "") + strings.Repeat("#", MaxSize))); err == nil ||
		!strings.Contains(err.Error(), "larger") {
		t.Errorf("too large: %v", err)
	}
	bomb := "a: &a [" + strings.Repeat("x,", 5000) + "]\nb: [" + strings.Repeat("*a,", 1000) + "]\n"
	if _, err := Parse([]byte(bomb)); err == nil || !strings.Contains(err.Error(), "anchors") {
		t.Errorf("a bomb: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(written("", token, "")))
	f.Add([]byte(written("    proxy-url: x", "    tokenFile: x", "a: &a [*a]")))
	f.Add([]byte(`{"current-context":"x","contexts":null,"users":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := Parse(data)
		if err != nil {
			return
		}
		c := k.Config()
		if !strings.HasPrefix(c.Host, "https://") || c.ExecProvider != nil || c.AuthProvider != nil ||
			c.BearerTokenFile != "" || c.Insecure || c.Impersonate.UserName != "" {
			t.Errorf("%q became %+v", data, c)
		}
	})
}
