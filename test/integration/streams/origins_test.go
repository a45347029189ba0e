// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestOrigins verifies that pages of another origin cannot open a stream with any credential that a browser sends.
func TestOrigins(t *testing.T) {
	p := newPerson(t, "origins")
	const allowed = "https://dashboard.example.com"
	listed, err := env.KubeVision.StartAPIServer(t.Context(), 0, "--allowed-origins="+allowed+",http://localhost:5173")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listed.Stop() })
	own := strings.TrimSuffix(env.KubeVision.Endpoint(), "/")
	for name, tc := range map[string]struct {
		replica string
		header  http.Header
		code    int
	}{
		"none":               {own, nil, wire.OK},
		"same":               {own, http.Header{"Origin": {own}}, wire.OK},
		"same with a cookie": {own, http.Header{"Origin": {own}, "Cookie": {"a=b"}}, wire.OK},
		"foreign":            {own, http.Header{"Origin": {"https://evil.example.com"}}, wire.Forbidden},
		"foreign in Host": {own, http.Header{"Origin": {"https://evil.example.com"},
			"X-Forwarded-Host": {"evil.example.com"}}, wire.Forbidden},
		"null":  {own, http.Header{"Origin": {"null"}}, wire.Forbidden},
		"empty": {own, http.Header{"Origin": {""}}, wire.Forbidden},
		"two":   {own, http.Header{"Origin": {own, "https://evil.example.com"}}, wire.Forbidden},
		"without TLS": {own, http.Header{"Origin": {"http" + strings.TrimPrefix(own, "https")}},
			wire.Forbidden},
		"another port":        {own, http.Header{"Origin": {own + "0"}}, wire.Forbidden},
		"prefix":              {own, http.Header{"Origin": {own + ".evil.example.com"}}, wire.Forbidden},
		"missing with cookie": {own, http.Header{"Cookie": {"session=1"}}, wire.Forbidden},
		"listed":              {listed.Endpoint(), http.Header{"Origin": {allowed}}, wire.OK},
		"listed with port":    {listed.Endpoint(), http.Header{"Origin": {"http://localhost:5173"}}, wire.OK},
		"default port":        {listed.Endpoint(), http.Header{"Origin": {allowed + ":443"}}, wire.OK},
		"not listed":          {listed.Endpoint(), http.Header{"Origin": {listed.Endpoint()}}, wire.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			c := at(t, tc.replica)
			ticket := p.ticket(t, "")
			r := withTicket(p, ticket)
			r.Header = tc.header
			if tc.code == wire.OK {
				open(t, c, r).isAlive(t)
				return
			}
			refused(t, c, r).Want(t, tc.code)
			// The request is rejected before the ticket is marked as used, so that a page cannot invalidate tickets of
			// another page.
			open(t, c, withTicket(p, ticket)).isAlive(t)
		})
	}
}
