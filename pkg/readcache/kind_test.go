// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// TestFirstList verifies how long a request waits for the first list of a kind. While objects of the list arrive, the
// request waits for up to longestFirstList.
func TestFirstList(t *testing.T) {
	const interval = firstListProgressTimeout / 2
	for name, tc := range map[string]struct {
		arriving time.Duration
		complete bool
		want     time.Duration
	}{
		"none":     {0, false, firstListTimeout},
		"short":    {firstListTimeout - interval, true, firstListTimeout - interval},
		"long":     {12 * time.Second, true, 12 * time.Second},
		"stopped":  {8 * time.Second, false, 8*time.Second + firstListProgressTimeout},
		"too long": {time.Minute, true, longestFirstList},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &kind{
					store:   &store{account: &account{pool: &pool{limit: 1}}},
					source:  &source{},
					started: time.Now(),
				}
				go func() {
					for time.Since(k.started) < tc.arriving {
						k.source.found(false)
						time.Sleep(interval)
					}
					k.source.found(false)
					if tc.complete {
						_ = k.store.Replace(nil, "1")
					}
				}()
				_, ok := k.first(t.Context())
				if took := time.Since(k.started); took != tc.want || ok != (tc.complete && tc.want < longestFirstList) {
					t.Errorf("it took %s: %v", took, ok)
				}
				time.Sleep(tc.arriving) // until the goroutine ends
			})
		})
	}
}

// TestStaleDuringAList verifies that stale objects in the cache remain stale until a new list is complete.
func TestStaleDuringAList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{noted: func(error) {}, late: func() {}}
		s.found(true)
		ended := time.Now()
		s.lost(io.EOF)
		if _, _, stale := s.stale(); stale {
			t.Error("stale immediately after the end of the watch")
		}
		begun := time.Now()
		s.beginList()
		for range 5 {
			time.Sleep(reconnectTime)
			s.found(false)
			if asOf, newest, stale := s.stale(); !stale || !asOf.Equal(ended) || !newest.Equal(ended) {
				t.Errorf("during the list: stale %t as of %s, want as of %s", stale, asOf, ended)
			}
		}
		s.completeList()
		if _, _, stale := s.stale(); stale {
			t.Error("stale after a complete list")
		}
		time.Sleep(reconnectTime) // no watch starts
		complete := time.Now().Add(-reconnectTime)
		if asOf, newest, stale := s.stale(); !stale || !asOf.Equal(begun) || !newest.Equal(complete) {
			t.Errorf("after the list: stale %t from %s to %s, want %s to %s", stale, asOf, newest, begun, complete)
		}
	})
}

// TestStaleAfterAnErrorEvent verifies that cached objects remain stale if a new watch sends only an error event, or no
// event. An API server sends the error event if the resource version in the request is too old.
func TestStaleAfterAnErrorEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{noted: func(error) {}}
		s.found(true)
		ended := time.Now()
		s.lost(io.EOF)
		time.Sleep(time.Minute)
		d := newDecoder(io.NopCloser(strings.NewReader(`{"type":"ERROR","object":{"kind":"Status","code":410}}`+"\n")),
			schema.GroupVersionKind{Kind: "Pod"})
		var ends []error
		d.afterEvent = func() { s.found(true) }
		d.closed = func(err error) {
			if len(ends) == 0 {
				s.lost(err)
			}
			ends = append(ends, err)
		}
		s.watchStarted()
		if event, _, err := d.Decode(); err != nil || event != watch.Error {
			t.Fatalf("decoded %s: %v", event, err)
		}
		d.Close()
		if asOf, _, stale := s.stale(); !stale || !asOf.Equal(ended) {
			t.Errorf("stale %t as of %s, want as of %s", stale, asOf, ended)
		}
		s.watchStarted()
		s.lost(io.EOF)
		if asOf, _, stale := s.stale(); !stale || !asOf.Equal(ended) {
			t.Errorf("after a watch without events: stale %t as of %s, want as of %s", stale, asOf, ended)
		}
	})
}
