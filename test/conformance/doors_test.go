// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// door is a way to send requests to the API, for example through kube-apiserver.
type door struct {
	name string
	base string
	// client is the client of all roles. It is nil if each role has its own client.
	client  *wire.Client
	clients map[role]*wire.Client
	// header is true if the access token is sent in wire.TokenHeader.
	header bool
	// direct is true if requests do not pass through kube-apiserver.
	direct bool
	// anonymous is true if the client has no certificate. Then, a request without an access token is anonymous.
	anonymous bool
}

// doors returns all ways to send requests to the API. If the tests have started the installation, doors first applies
// config/anonymous. Anonymous access through kube-apiserver is omitted if kube-apiserver rejects anonymous requests.
func doors(t *testing.T, c *cast) []door {
	t.Helper()
	direct := target.direct(t)
	certificates := map[role]*wire.Client{}
	for r, name := range c.kubernetes {
		certificates[r] = target.as(t, name)
	}
	ways := []door{
		{name: "direct, " + wire.DirectPath, base: wire.DirectPath, client: direct, direct: true, anonymous: true},
		{name: "direct, " + wire.GroupPath, base: wire.GroupPath, client: direct, direct: true, anonymous: true},
		{name: "direct, token header", base: wire.DirectPath, client: direct, direct: true, header: true,
			anonymous: true},
		{name: "kube-apiserver, certificate", base: wire.GroupPath, clients: certificates},
		{name: "kube-apiserver, certificate and token", base: wire.GroupPath,
			client: target.as(t, fixture.Name("conformance-kube-porter")), header: true},
	}
	if target.Anonymous == nil {
		t.Log("skipped: this installation rejects requests without a credential in kube-apiserver")
		return ways
	}
	if target.Started {
		openToAnonymous(t)
	}
	return append(ways, door{
		name: "kube-apiserver, anonymous and token", base: wire.GroupPath, client: wire.Configured(t, target.Anonymous),
		header: true, anonymous: true,
	})
}

func openToAnonymous(t *testing.T) {
	t.Helper()
	overlay := &rbacv1.ClusterRoleBinding{}
	if err := yaml.UnmarshalStrict(manifest(t, "anonymous", "anonymous.yaml"), overlay); err != nil {
		t.Fatal(err)
	}
	target.set().Create(t, overlay)
	anonymous := wire.Configured(t, target.Anonymous)
	fixture.Eventually(t, "wait until kube-apiserver forwards anonymous requests", reaches(anonymous))
}

// request adds the base path and the credential of the caller to the request of tc. It returns false if tc cannot be
// sent through d, for example because kube-apiserver rejects anonymous requests.
func (d door) request(c *cast, tc probe) (wire.Request, *wire.Client, bool) {
	r := tc.request
	r.Path = d.base + r.Path
	client := d.client
	if client == nil {
		client = d.clients[stranger]
	}
	token := tc.token
	switch {
	case tc.direct && !d.direct:
		return r, client, false
	case tc.as == "" && token == "":
		return r, client, tc.public || d.anonymous
	case tc.as != "" && d.clients != nil:
		return r, d.clients[tc.as], true
	case tc.as != "":
		token = c.logins[tc.as].AccessToken
	}
	switch {
	case d.header || d.clients != nil:
		r.Token = token
	default:
		r.Bearer = token
	}
	return r, client, true
}
