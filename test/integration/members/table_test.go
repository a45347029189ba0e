// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"io"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestMembersWithoutTables verifies that KubeVision requests a Table whose rows contain only the metadata of objects.
// The test also verifies the error if a registered cluster responds with an invalid Table or with other data.
func TestMembersWithoutTables(t *testing.T) {
	s := newStandin(t)
	p, c := onStandin(t, s)
	body := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, text)
		}
	}
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		code   int
		field  string
	}{
		"ignores the media type": {nil, wire.Invalid, "view"},
		"knows no tables": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotAcceptable)
			_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",`+
				`"reason":"`+string(metav1.StatusReasonNotAcceptable)+`","code":406}`)
		}, wire.Invalid, "view"},
		"sends many columns": {body(`{"kind":"Table","columnDefinitions":[` + strings.Repeat(`{},`, 1<<20) +
			`{}],"rows":[]}`), wire.Unreachable, ""},
		"sends many lists of columns": {body(`{"kind":"Table",` + strings.Repeat(`"columnDefinitions":[`+
			strings.Repeat(`{},`, 500)+`{}],`, 2000) + `"rows":[]}`), wire.Unreachable, ""},
		"sends a long token": {body(`{"kind":"Table","metadata":{"continue":"` + strings.Repeat("x", 1<<20) +
			`"},"rows":[]}`), wire.Unreachable, ""},
		"sends no rows": {body(`{"kind":"Table","columnDefinitions":[]}`), wire.Unreachable, ""},
		"sends a table": {body(`{"kind":"Table","rows":null}`), wire.OK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s.answer(podsPath, tc.answer)
			before := len(s.of(podsPath))
			e, err := p.get(t.Context(), c.Name, "/namespaces/default/resources/pods?view=table")
			if err != nil || e.Code != tc.code || e.Meta.Field != tc.field {
				t.Errorf("code %d (%s) at %q, %v", e.Code, e.Message, e.Meta.Field, err)
			}
			sent := s.of(podsPath)[before:]
			if len(sent) != 1 {
				t.Fatalf("the member received %d requests", len(sent))
			}
			accept, part := sent[0].Header.Get("Accept"), sent[0].URL.Query().Get("includeObject")
			if accept != "application/json;as=Table;g=meta.k8s.io;v=v1" || part != "Metadata" {
				t.Errorf("the member received %q, and %s", accept, sent[0].URL)
			}
		})
	}
}
