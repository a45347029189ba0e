// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubeconfig parses the kubeconfig of a member cluster. It accepts inline certificates, keys and tokens. It
// rejects fields that run a program, read a file, use a proxy or impersonate a user, and all unknown fields.
package kubeconfig

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// MaxSize is the maximum size of a kubeconfig in bytes.
const MaxSize = 64 << 10

// Kubeconfig is the result of Parse: the address of the API server, its certificate authorities, and a credential.
type Kubeconfig struct {
	// Server is an https URL with a host, an optional port and an optional path.
	Server string
	// ServerName is the DNS name that the certificate of the server must contain. If ServerName is empty, the
	// certificate must contain the host of the field Server.
	ServerName string
	// CA contains the trusted certificate authorities in PEM. If it is empty, the certificate authorities of the
	// operating system are trusted.
	CA []byte
	// Certificate is the client certificate in PEM.
	Certificate []byte
	// Key is the private key of the client certificate in PEM.
	Key []byte
	// Token is the bearer token.
	Token string
	// Expires is the time at which the credential expires, or zero if this time is unknown. The credential is either a
	// client certificate or a token, because Parse rejects a kubeconfig with both.
	Expires time.Time
}

// file contains all fields that a kubeconfig may have. Decoding rejects other fields.
type file struct {
	APIVersion     string           `json:"apiVersion"`
	Kind           string           `json:"kind"`
	Preferences    map[string]any   `json:"preferences"`
	CurrentContext string           `json:"current-context"`
	Clusters       []namedCluster   `json:"clusters"`
	Contexts       []namedContext   `json:"contexts"`
	Users          []namedUser      `json:"users"`
	Extensions     []namedExtension `json:"extensions"`
}

type namedCluster struct {
	Name    string  `json:"name"`
	Cluster cluster `json:"cluster"`
}

type cluster struct {
	Server             string           `json:"server"`
	TLSServerName      string           `json:"tls-server-name"`
	CAData             []byte           `json:"certificate-authority-data"`
	DisableCompression bool             `json:"disable-compression"`
	Extensions         []namedExtension `json:"extensions"`
}

type namedContext struct {
	Name    string        `json:"name"`
	Context contextFields `json:"context"`
}

type contextFields struct {
	Cluster    string           `json:"cluster"`
	User       string           `json:"user"`
	Namespace  string           `json:"namespace"`
	Extensions []namedExtension `json:"extensions"`
}

type namedUser struct {
	Name string     `json:"name"`
	User userFields `json:"user"`
}

type userFields struct {
	CertificateData []byte           `json:"client-certificate-data"`
	KeyData         []byte           `json:"client-key-data"`
	Token           string           `json:"token"`
	Extensions      []namedExtension `json:"extensions"`
}

// namedExtension is one extension in a kubeconfig. Extensions contain data of other tools, such as minikube. KubeVision
// accepts and ignores them.
type namedExtension struct {
	Name      string `json:"name"`
	Extension any    `json:"extension"`
}

// Parse parses a kubeconfig and returns the cluster and the credential of the current context as a Kubeconfig. The
// error names rejected fields, but contains no values.
func Parse(data []byte) (*Kubeconfig, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("the kubeconfig is larger than %d bytes", MaxSize)
	}
	f, err := decode(data)
	if err != nil {
		return nil, err
	}
	if f.Kind != "" && f.Kind != "Config" {
		return nil, errors.New("kind must be Config")
	}
	c, u, err := f.current()
	if err != nil {
		return nil, err
	}
	if err := checkServer(c.Server); err != nil {
		return nil, err
	}
	if len(c.CAData) > 0 && !x509.NewCertPool().AppendCertsFromPEM(c.CAData) {
		return nil, errors.New("clusters[].cluster.certificate-authority-data must contain a certificate in PEM")
	}
	k := &Kubeconfig{Server: strings.TrimSuffix(c.Server, "/"), ServerName: c.TLSServerName, CA: c.CAData}
	if err := k.setCredential(u); err != nil {
		return nil, err
	}
	return k, nil
}

func decode(data []byte) (*file, error) {
	// Aliases allow a small document to expand to a large one (billion laughs).
	if bytes.ContainsAny(data, "&*") && hasAliases(data) {
		return nil, errors.New("anchors and aliases of YAML are not allowed")
	}
	text, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, errors.New("the kubeconfig is not valid YAML")
	}
	if text, err = withoutEmpty(text); err != nil {
		return nil, errors.New("the kubeconfig is not valid YAML")
	}
	f := &file{}
	refused, err := kjson.UnmarshalStrict(text, f)
	if err != nil {
		return nil, errors.New("the kubeconfig is malformed: a field has the wrong type, or data is not base64")
	}
	if len(refused) == 0 {
		return f, nil
	}
	var fields []string
	for _, r := range refused {
		field := "a field"
		if named, ok := errors.AsType[kjson.FieldError](r); ok {
			field = named.FieldPath()
		}
		fields = append(fields, field)
	}
	slices.Sort(fields)
	return nil, fmt.Errorf("not allowed: %s; a kubeconfig for KubeVision may only contain inline certificate data or "+
		"a token",
		strings.Join(slices.Compact(fields), ", "))
}

func (f *file) current() (*cluster, *userFields, error) {
	i := slices.IndexFunc(f.Contexts, func(c namedContext) bool { return c.Name == f.CurrentContext })
	switch {
	case f.CurrentContext != "" && i >= 0:
	case f.CurrentContext != "" || len(f.Contexts) == 0:
		return nil, nil, errors.New("current-context names no context")
	case len(f.Contexts) > 1:
		return nil, nil, errors.New("current-context is missing, and there are several contexts")
	default:
		i = 0
	}
	context := f.Contexts[i].Context
	c := slices.IndexFunc(f.Clusters, func(c namedCluster) bool { return c.Name == context.Cluster })
	u := slices.IndexFunc(f.Users, func(u namedUser) bool { return u.Name == context.User })
	switch {
	case c < 0:
		return nil, nil, errors.New("the cluster of the current context is missing or is not in clusters")
	case u < 0:
		return nil, nil, errors.New("the user of the current context is missing or is not in users")
	}
	return &f.Clusters[c].Cluster, &f.Users[u].User, nil
}

func checkServer(server string) error {
	const field = "clusters[].cluster.server"
	if server == "" {
		return errors.New(field + " is missing")
	}
	u, err := url.Parse(server)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return errors.New(field + " must be a URL with a host")
	case u.Scheme != "https":
		return errors.New(field + " must begin with https://")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return errors.New(field + " must have no user, query or fragment")
	}
	return nil
}

func (k *Kubeconfig) setCredential(u *userFields) error {
	switch {
	case len(u.CertificateData) > 0 && u.Token != "":
		return errors.New("users[].user has both a client certificate and a token; keep one")
	case len(u.CertificateData) > 0 || len(u.KeyData) > 0:
		pair, err := tls.X509KeyPair(u.CertificateData, u.KeyData)
		if err != nil {
			return errors.New(
				"users[].user.client-certificate-data and client-key-data must be a certificate and its key in PEM")
		}
		k.Certificate, k.Key, k.Expires = u.CertificateData, u.KeyData, expiryOf(pair)
		return nil
	case u.Token != "":
		if strings.TrimSpace(u.Token) != u.Token || strings.ContainsAny(u.Token, "\r\n\x00 ") {
			return errors.New("users[].user.token must not contain blanks or line feeds")
		}
		k.Token, k.Expires = u.Token, tokenExpiry(u.Token)
		return nil
	default:
		return errors.New("users[].user has no credential: give a token, or client-certificate-data with " +
			"client-key-data")
	}
}

// expiryOf returns the earliest expiry of the certificates in the given chain, or zero if no certificate can be parsed.
func expiryOf(pair tls.Certificate) time.Time {
	var first time.Time
	for _, der := range pair.Certificate {
		if c, err := x509.ParseCertificate(der); err == nil && (first.IsZero() || c.NotAfter.Before(first)) {
			first = c.NotAfter
		}
	}
	return first
}

// CheckExpiry returns an error if the client certificate or the token has expired.
func (k *Kubeconfig) CheckExpiry(now time.Time) error {
	if k.Expires.IsZero() || now.Before(k.Expires) {
		return nil
	}
	credential := "token"
	if len(k.Certificate) > 0 {
		credential = "client certificate"
	}
	return fmt.Errorf("the %s of the kubeconfig expired on %s", credential, k.Expires.UTC().Format(time.RFC3339))
}

// Config returns the configuration of a client that uses the credential of the kubeconfig.
func (k *Kubeconfig) Config() *rest.Config {
	return &rest.Config{
		Host: k.Server, BearerToken: k.Token,
		TLSClientConfig: rest.TLSClientConfig{ServerName: k.ServerName, CAData: k.CA, CertData: k.Certificate,
			KeyData: k.Key},
	}
}
