// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package terminalsessions

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/recording"
)

// TestEncode verifies that the JSON of a recording contains the whole text, even if a read ends within a character.
func TestEncode(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "one event": `[0.1,"o","a<b\r\n"]` + "\n",
		"characters": strings.Repeat("é\u2028€😀", readBytes),
		"one piece":  strings.Repeat("x", readBytes), "quotes": strings.Repeat(`"\`, readBytes),
		"not UTF-8": strings.Repeat("x", readBytes-1) + "\xe2\x82",
	} {
		of := dashboardv1alpha1.TerminalRecording{ID: "20260102t030405-x", DurationMS: 7}
		data, err := encode(strings.NewReader(text), of, nil)
		if err != nil {
			t.Fatal(err)
		}
		of.Recording = strings.ToValidUTF8(text, "\uFFFD\uFFFD")
		var got dashboardv1alpha1.TerminalRecording
		if err := json.Unmarshal(bytes.Join(data, nil), &got); err != nil || got != of {
			t.Errorf("%s: %d bytes instead of %d (%v)", name, len(got.Recording), len(of.Recording), err)
		}
	}
}

// TestMemory verifies that all memory of an encoded recording counts toward a user's memory limit.
func TestMemory(t *testing.T) {
	text := strings.Repeat("<", recording.MaxFileBytes)
	shared := budget.New(1 << 30)
	account := shared.Account("jane", 0)
	defer account.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	data, err := encode(strings.NewReader(text), dashboardv1alpha1.TerminalRecording{}, account)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	const slack = 1 << 20
	took := int64(after.HeapAlloc) - int64(before.HeapAlloc) //nolint:gosec // sizes of the heap
	if took > shared.Used()+slack {
		t.Errorf("it takes %d bytes, and %d are charged", took, shared.Used())
	}
	runtime.KeepAlive(data)
	small := budget.New(1<<30).Account("joe", 1<<20)
	defer small.Close()
	_, err = encode(strings.NewReader(text), dashboardv1alpha1.TerminalRecording{}, small)
	if !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("without room: %v", err)
	}
}
