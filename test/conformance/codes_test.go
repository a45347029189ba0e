// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conformance_test verifies a running installation of KubeVision with requests to the API. The most important
// test verifies the field "code" of each response, for example 40001 if a required parameter is missing.
package conformance_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func TestCodes(t *testing.T) {
	c := newCast(t)
	ways := doors(t, c)
	results.setDoors(ways)
	probes := c.probes()
	for _, d := range ways {
		target.forgive(t) // clears the wrong passwords that were sent through the previous path
		for _, name := range slices.Sorted(maps.Keys(probes)) {
			tc := probes[name]
			request, client, ok := d.request(c, tc)
			if !ok {
				continue
			}
			t.Run(d.name+"/"+name, func(t *testing.T) {
				defer func() { results.note(tc.want, d.name, name, !t.Failed()) }()
				e := client.Call(t, request).Want(t, tc.want)
				checkField(t, tc, e)
				checkData(t, tc, e)
			})
		}
	}
	results.done(t)
	testOtherCaches(t, c)
}

func checkField(t *testing.T, tc probe, e wire.Envelope) {
	t.Helper()
	switch {
	case tc.field == "*" && e.Meta.Field == "":
		t.Errorf("meta.field is empty (%s)", e.Message)
	case tc.field != "*" && tc.field != e.Meta.Field:
		t.Errorf("meta.field is %q, want %q (%s)", e.Meta.Field, tc.field, e.Message)
	}
}

// checkData verifies that a success has data, and that a failure has none, unless the probe expects otherwise.
func checkData(t *testing.T, tc probe, e wire.Envelope) {
	t.Helper()
	isNull := string(e.Data) == "null"
	wanted := tc.silent || (e.Code != wire.OK && e.Code != wire.TwoFactorRequired && !tc.explained && !tc.itemized)
	if isNull != wanted {
		t.Errorf("the data beside code %d is %.200s", e.Code, e.Data)
	}
	if tc.namespaces != nil && (!e.Meta.Partial || !slices.Equal(e.Meta.Namespaces, tc.namespaces)) {
		t.Errorf("the response does not cover %v: %+v", tc.namespaces, e.Meta)
	}
	if tc.explained {
		var data struct {
			Valid  *bool
			Errors []string
		}
		e.Into(t, &data)
		if data.Valid == nil || *data.Valid || len(data.Errors) == 0 || data.Errors[0] == "" {
			t.Errorf("the data contain no reasons: %s", e.Data)
		}
	}
	if e.Code == wire.TwoFactorRequired {
		var data struct {
			SetupRequired bool `json:"setupRequired"`
		}
		e.Into(t, &data)
		if !data.SetupRequired { // no user of the cast has a second factor
			t.Errorf("the data do not require the set-up of a second factor: %s", e.Data)
		}
	}
}

// reaches returns a check that a request without an access token reaches KubeVision.
func reaches(client *wire.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		response, err := client.Do(ctx, wire.Request{Path: wire.GroupPath + "/users/me"})
		if err != nil {
			return err
		}
		_, err = response.Parse()
		return err
	}
}
