// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package conformance_test holds an installation of KubeVision against the contract of its codes, from outside.
package conformance_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestCodes provokes every code that can be had, through every door.
func TestCodes(t *testing.T) {
	c := newCast(t)
	ways := doors(t, c)
	results := newTable()
	probes := c.probes()
	for _, d := range ways {
		target.set().Forgive(t) // the wrong logins through the door before
		for _, name := range slices.Sorted(maps.Keys(probes)) {
			tc := probes[name]
			request, client, ok := d.request(c, tc)
			if !ok {
				continue
			}
			t.Run(d.name+"/"+name, func(t *testing.T) {
				defer func() { results.note(tc.want, d.name, !t.Failed()) }()
				e := client.Call(t, request).Want(t, tc.want)
				checkField(t, tc, e)
				checkData(t, e)
			})
		}
	}
	t.Log("\n" + results.String(ways))
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

// checkData says that a failure gives nothing away beside its message, and that a success gives something.
func checkData(t *testing.T, e wire.Envelope) {
	t.Helper()
	isNull := string(e.Data) == "null"
	if wanted := e.Code != wire.OK && e.Code != wire.TwoFactorRequired; isNull != wanted {
		t.Errorf("the data beside code %d is %.200s", e.Code, e.Data)
	}
	if e.Code == wire.TwoFactorRequired {
		var data struct {
			SetupRequired bool `json:"setupRequired"`
		}
		e.Into(t, &data)
		if !data.SetupRequired { // nobody in the cast has a second factor
			t.Errorf("the data does not say that a second factor must be set up: %s", e.Data)
		}
	}
}

// table counts what came of each code through each door.
type table struct {
	passed, failed map[string]int
	codes          map[int]bool
}

func newTable() *table {
	return &table{passed: map[string]int{}, failed: map[string]int{}, codes: map[int]bool{}}
}

func cell(code int, door string) string { return fmt.Sprintf("%d %s", code, door) }

func (r *table) note(code int, door string, passed bool) {
	r.codes[code] = true
	if passed {
		r.passed[cell(code, door)]++
		return
	}
	r.failed[cell(code, door)]++
}

func (r *table) String(ways []door) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(w, "code")
	for _, d := range ways {
		_, _ = fmt.Fprint(w, "\t", d.name)
	}
	for _, code := range slices.Sorted(maps.Keys(r.codes)) {
		_, _ = fmt.Fprintf(w, "\n%d", code)
		for _, d := range ways {
			passed, failed := r.passed[cell(code, d.name)], r.failed[cell(code, d.name)]
			switch {
			case passed+failed == 0:
				_, _ = fmt.Fprint(w, "\t-")
			case failed > 0:
				_, _ = fmt.Fprintf(w, "\t%d ok, %d FAILED", passed, failed)
			default:
				_, _ = fmt.Fprintf(w, "\t%d ok", passed)
			}
		}
	}
	_ = w.Flush()
	return text.String()
}

// reaches says whether a request without an access token comes as far as KubeVision.
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
