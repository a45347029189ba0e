// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rawjson_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

func TestAt(t *testing.T) {
	object := []byte(`{"a": [ 1, {"b":"c", "0":4} ,[] ], "a.b": null}`)
	for path, want := range map[string]string{
		"a 0": "1", "a 1 b": `"c"`, "a 1 0": "4", "a -1": "[]", "a -3": "1", "a.b": "null",
		"a 3": "-", "a -4": "-", "a b": "-", "a 2 0": "-", "a 2 -1": "-", "a 0 0": "-", "b": "-", "a.b c": "-",
	} {
		got, ok := rawjson.At(object, strings.Fields(path)...)
		if ok == (want == "-") || (ok && string(got) != want) {
			t.Errorf("%s: %q (%t), want %q", path, got, ok, want)
		}
	}
	if got, ok := rawjson.At(object); !ok || !bytes.Equal(got, object) {
		t.Errorf("no path: %q", got)
	}
}
