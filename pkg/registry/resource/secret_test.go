// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"testing"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/redaction"
)

// TestBinaryValuesAreKept verifies that manifestObject.fill removes a placeholder from the field stringData of a
// Secret, and writes the real value to the field data. The field stringData cannot contain a binary value.
func TestBinaryValuesAreKept(t *testing.T) {
	value := []byte{0xfe, 0xed, 0x00, 0xff}
	m := manifestObject{fieldStringData: map[string]any{"store": objects.Masked, "other": "x"}}
	if err := m.fill(fieldStringData, m.placeholders(fieldStringData), map[string][]byte{"store": value}); err != nil {
		t.Fatal(err)
	}
	data, _ := m[fieldData].(map[string]any)
	text, _ := data["store"].(string)
	if got, err := base64.StdEncoding.DecodeString(text); err != nil || !bytes.Equal(got, value) {
		t.Errorf("the value is %v (%v)", got, err)
	}
	if left, _ := m[fieldStringData].(map[string]any); len(left) != 1 {
		t.Errorf("left as text: %v", left)
	}
}

// TestPlaceholdersBesideADirective verifies that a patch of a Secret is rejected if it contains a masked value and the
// directive "$patch: replace". A masked value must not change the stored value, but the directive would remove it.
func TestPlaceholdersBesideADirective(t *testing.T) {
	masked := func() map[string]any { return map[string]any{"a": objects.MaskedBase64} }
	inData := masked()
	inData["$patch"] = "replace"
	for name, m := range map[string]manifestObject{
		"in the data": {fieldData: inData}, "at the top": {"$patch": "replace", fieldData: masked()},
	} {
		if err := m.dropPlaceholders(); err == nil || envelope.As(err).Code != dashboardv1alpha1.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if m := (manifestObject{fieldData: masked()}); m.dropPlaceholders() != nil || len(m.placeholders(fieldData)) != 0 {
		t.Error("a placeholder alone is no change")
	}
}

func TestWithhold(t *testing.T) {
	m := manifestObject{
		fieldData:       map[string]any{"p": "aHVudGVyMg=="},
		fieldStringData: map[string]any{"pin": int64(4711), "pem": "one\ntwo"},
	}
	said := envelope.New(
		dashboardv1alpha1.CodeInvalid,
		"%s",
		`not hunter2, aHVudGVyMg==, 4711, nor "one\ntwo"`,
	).WithCause(
		errors.New("hunter2"),
	)
	got := withhold(t.Context(), said, m.secretValues())
	for _, value := range []string{"hunter2", "aHVudGVyMg", "4711", `one\ntwo`} {
		if strings.Contains(got.Error(), value) {
			t.Errorf("%q is in %q", value, got.Error())
		}
	}
}

// TestWithholdingDoesNotMakeAMessageGrow verifies that withhold does not search its own placeholder "******" for
// confidential values. Otherwise, the confidential value "***" could make a message very long.
func TestWithholdingDoesNotMakeAMessageGrow(t *testing.T) {
	values := map[string]any{"a": "access"}
	for n := range 20 {
		values["k"+strconv.Itoa(n)] = "***"
	}
	said := envelope.New(dashboardv1alpha1.CodeNamespaceForbidden, "you have no access to namespace %q", "other")
	got := envelope.As(withhold(t.Context(), said, manifestObject{fieldStringData: values}.secretValues()))
	if len(got.Message) > redaction.MaxText || strings.Contains(got.Message, "access") {
		t.Errorf("the message has %d bytes: %.200s", len(got.Message), got.Message)
	}
}
