// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package verdicts

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/watch"
)

func TestEventReader(t *testing.T) {
	long := strings.Repeat("A", maxTextBytes)
	for text, want := range map[string]event{
		`{"type":"ADDED","object":{"metadata":{"resourceVersion":"7"}}}`: {"ADDED", "7"},
		" \n{ \"object\" : { \"rules\" : [ { \"a\" : [ ] } , 1.5e3 , null , true ] , \"metadata\" : " +
			"{ \"name\" : \"a\\\"}\" , \"resourceVersion\" : \"8\" } } , \"type\" : \"MODIFIED\" }": {"MODIFIED", "8"},
		`{"type":"BOOKMARK","object":{}}`:                                      {"BOOKMARK", ""},
		`{"type":"ADDED","object":{"x":{"metadata":{"resourceVersion":"9"}}}}`: {"ADDED", ""},
		`{"type":"ADDED","object":{"metadata":{"resourceVersion":"\u0037"}}}`:  {"ADDED", ""},
		`{"type":"` + long + `"}`:                                              {watch.EventType(long), ""},
		`{"type":"A` + long + `"}`:                                             {},
	} {
		if got, err := newEventReader(strings.NewReader(text)).next(); got != want || err != nil {
			t.Errorf("%.80q: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestMalformedEvents(t *testing.T) {
	for text, want := range map[string]error{
		"":                                   io.EOF,
		"\n\n":                               io.EOF,
		`{"type":"ADDED"`:                    errEvent,
		`[]`:                                 errEvent,
		`{"type":7}`:                         errEvent,
		`{"object":[]}`:                      errEvent,
		`{"x":}`:                             errEvent,
		`{"x":]}`:                            errEvent,
		`{"x":,}`:                            errEvent,
		`{"x" 1}`:                            errEvent,
		`{"x":1 "y":2}`:                      errEvent,
		`{"object":{"metadata":"x"}}`:        errEvent,
		strings.Repeat(" ", maxEventBytes+1): errEvent,
	} {
		if got, err := newEventReader(strings.NewReader(text)).next(); got != (event{}) || !errors.Is(err, want) {
			t.Errorf("%.80q: %+v, %v, want %v", text, got, err, want)
		}
	}
}

// TestMemoryOfEvents verifies that an eventReader uses little memory for a large watch event. Otherwise, a member
// cluster could use up the memory of KubeVision with large events on many watches.
func TestMemoryOfEvents(t *testing.T) {
	const most = 4 * readerBytes
	large := strings.Repeat("x", maxEventBytes/2)
	text := `{"type":"ADDED","object":{"metadata":{"annotations":{"a":"` + large + `"},"resourceVersion":"7"}}}`
	from := strings.NewReader(text)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := newEventReader(from).next()
	runtime.ReadMemStats(&after)
	if got.version != "7" || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > most {
		t.Errorf("%d bytes were allocated for an event, want at most %d", took, most)
	}
}
