// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestValuesDoNotMakeAMessageGrow verifies that error messages remain short if the values of a Secret consist of
// asterisks. KubeVision replaces each value in a message with asterisks, and must not replace these asterisks again.
func TestValuesDoNotMakeAMessageGrow(t *testing.T) {
	ns, other := set().Namespace(t, "grow"), set().Namespace(t, "other")
	dev := newPerson(t, "dev", ns)
	values, operations := []string{`"a":"access"`}, []string{`{"op":"add","path":"/stringData/a","value":"access"}`}
	for n := range 18 { // each value is a part of the placeholder
		values = append(values, fmt.Sprintf(`"k%d":%q`, n, strings.Repeat("*", 3+n%2)))
		operations = append(operations, fmt.Sprintf(`{"op":"add","path":"/stringData/k%d","value":"***"}`, n))
	}
	secret := `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"},"stringData":{` + strings.Join(values,
		",") + `}}`
	for _, tc := range []struct{ method, path, contentType, body string }{
		{http.MethodPost, in(other, "secrets"), jsonType, secret},
		{http.MethodPost, in(other, "secrets") + "?dryRun=All", jsonType, secret},
		{http.MethodPost, in(other, "secrets") + "/dry-run", jsonType, secret},
		{http.MethodPatch, in(other, "secrets", "x"), applyType, secret},
		{http.MethodPatch, in(other, "secrets", "x"), mergeType, secret},
		{http.MethodPatch, in(other, "secrets", "x"), jsonPatchType, "[" + strings.Join(operations, ",") + "]"},
	} {
		e := dev.send(t, tc.method, tc.path, tc.contentType, tc.body)
		if e.Code == wire.OK || e.Code >= wire.Internal || len(e.Raw) > 8<<10 || strings.Contains(e.Message, "access") {
			t.Errorf("%s %s as %s: code %d, %d bytes: %.200s", tc.method, tc.path, tc.contentType, e.Code, len(e.Raw),
				e.Message)
		}
	}
}

// TestCreateWithResourceVersion verifies that KubeVision rejects a create request whose object has a resourceVersion.
func TestCreateWithResourceVersion(t *testing.T) {
	ns := set().Namespace(t, "version")
	dev := newPerson(t, "dev", ns)
	body := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","resourceVersion":"7"}}`
	for _, way := range []string{"", "/dry-run"} {
		e := dev.send(t, http.MethodPost, in(ns, "configmaps")+way, jsonType, body).Want(t, wire.Invalid)
		if e.Meta.Field != "metadata.resourceVersion" {
			t.Errorf("%q: the field is %q", way, e.Meta.Field)
		}
	}
}
