// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// generatedPods returns a PodList with the given number of items in JSON. The JSON is generated while the caller reads
// the list.
func generatedPods(items int) io.Reader {
	reader, writer := io.Pipe()
	go func() {
		_, _ = io.WriteString(writer, `{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[`)
		filling := strings.Repeat("x", 1000)
		for i := range items {
			if i > 0 {
				_, _ = io.WriteString(writer, ",")
			}
			_, _ = fmt.Fprintf(writer,
				`{"metadata":{"name":"pod-%d","managedFields":[{"manager":"m"}]},"spec":{"note":%q}}`, i, filling)
		}
		_, _ = io.WriteString(writer, "]}")
		_ = writer.Close()
	}()
	return reader
}

func TestALongListIsNotHeld(t *testing.T) {
	const pods, most = 50_000, 16 << 20
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	before, seen := stats.HeapAlloc, 0
	page, err := ReadList(generatedPods(pods), kind("", "v1", "pods", "Pod"), nil, func(Object) error {
		seen++
		if seen%10_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&stats)
			if stats.HeapAlloc > before+most {
				t.Errorf("after %d Pods %d MiB are held", seen, (stats.HeapAlloc-before)>>20)
			}
		}
		return nil
	})
	if err != nil || seen != pods || *page.Total() != pods {
		t.Errorf("%d Pods, %v", seen, err)
	}
}

func TestAListThatIsCut(t *testing.T) {
	whole := `{"metadata":{},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}`
	for i := range len(whole) {
		if _, err := DecodeList([]byte(whole[:i]), kind("", "v1", "pods", "Pod")); err == nil {
			t.Errorf("%q was taken for a list", whole[:i])
		}
	}
}

// TestLongContinue verifies that a list or table is rejected if the continue token is longer than maxContinueBytes.
// Such a token would not fit into the URL of the next request.
func TestLongContinue(t *testing.T) {
	for name, read := range map[string]func(body string) (Page, error){
		`"items"`: func(body string) (Page, error) {
			none := func(Object) error { return nil }
			return ReadList(strings.NewReader(body), kind("", "v1", "pods", "Pod"), nil, none)
		},
		`"rows"`: func(body string) (Page, error) {
			_, _, page, err := rowsOf(body, nil)
			return page, err
		},
	} {
		for length, tooLong := range map[int]bool{maxContinueBytes: false, maxContinueBytes + 1: true} {
			token := strings.Repeat("x", length)
			page, err := read(`{"kind":"Table","metadata":{"continue":"` + token + `"},` + name + `:[]}`)
			if errors.Is(err, errLongContinue) != tooLong || len(page.Continue) != length && !tooLong {
				t.Errorf("%s: a token of %d bytes: %v", name, length, err)
			}
			if tooLong && envelope.As(err).Code != dashboardv1alpha1.CodeUnreachable {
				t.Errorf("%s: %v, want 50200", name, err)
			}
		}
	}
}
