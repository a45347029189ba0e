// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"net/http"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestFlagsForDashboards verifies the flags --login-code-ttl and --refused-dry-runs-as-data of kubevision-apiserver.
// Dashboards that support only a part of the API need these flags.
func TestFlagsForDashboards(t *testing.T) {
	c := at(t, replicaWith(t, "--login-code-ttl=1m", "--refused-dry-runs-as-data").Endpoint())
	manager, victim := newActor(t, "admin"), set().User(t, "victim")
	made := enrol(t, manager)
	t.Run("a code at the login", func(t *testing.T) {
		for i, tc := range []struct {
			client *wire.Client
			answer wire.Request
			want   int
		}{
			{c, verify(t, challenge(t, manager.User), code(t, made.Secret, 0)), wire.OK},
			{c, recovery(t, challenge(t, manager.User), made.RecoveryCodes[0]), wire.TwoFactorRequired},
			// A replica without the flag.
			{direct(t), verify(t, challenge(t, manager.User), code(t, made.Secret, 1)), wire.TwoFactorRequired},
		} {
			login := renewed(t, tc.client.Call(t, tc.answer))
			if e := c.Call(t, sensitive(t, login.AccessToken, victim.Name)); e.Code != tc.want {
				t.Errorf("login %d: code %d (%s), want %d", i, e.Code, e.Message, tc.want)
			}
		}
	})
	t.Run("a dry run that is refused", func(t *testing.T) {
		tried := func(site string) wire.Request {
			r := as(manager.AccessToken, post(t, onHost+"/resources/configmaps/dry-run?namespace=default", fields{
				"apiVersion": "v1", "kind": "ConfigMap", "metadata": fields{"name": fixture.Name("tried")},
				"data": fields{"a/b": "x"},
			}))
			if site != "" {
				r.Header = http.Header{"Sec-Fetch-Site": {site}}
			}
			return r
		}
		type result struct {
			Valid  *bool
			Errors []string
		}
		for _, tc := range []struct {
			client *wire.Client
			site   string
			want   int
		}{
			{c, "same-origin", wire.OK}, {c, "", wire.Rejected}, {c, "cross-site", wire.Rejected},
			{direct(t), "same-origin", wire.Rejected},
		} {
			var got result
			tc.client.Call(t, tried(tc.site)).Want(t, tc.want).Into(t, &got)
			if got.Valid == nil || *got.Valid || len(got.Errors) != 1 {
				t.Errorf("from %q: %+v", tc.site, got)
			}
		}
		r := tried("same-origin")
		r.Path = wire.DirectPath + onHost + "/resources/configmaps?namespace=default"
		c.Call(t, r).Want(t, wire.Rejected)
	})
}
