// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestCoalescer verifies that frequent changes of RBAC objects cause few function calls and few goroutines. The last
// call must begin at least staleTime after the last change. An API server may use old RBAC objects before this time.
func TestCoalescer(t *testing.T) {
	var s Coalescer[string]
	var mu sync.Mutex
	var calls []time.Time
	before, peak := runtime.NumGoroutine(), 0
	var last time.Time
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		for range 1000 {
			s.Changed("c", func() {
				mu.Lock()
				defer mu.Unlock()
				calls = append(calls, time.Now())
			})
		}
		last = time.Now()
		peak = max(peak, runtime.NumGoroutine())
		time.Sleep(time.Millisecond)
	}
	time.Sleep(staleTime + callInterval)
	mu.Lock()
	defer mu.Unlock()
	if n := len(calls); n < 4 || n > 8 {
		t.Errorf("there are %d calls", n)
	}
	if final := calls[len(calls)-1].Sub(last); final < staleTime-20*time.Millisecond {
		t.Errorf("the last call is %s after the last change", final)
	}
	if peak > before+10 {
		t.Errorf("there are %d goroutines", peak)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lastChange) > 0 {
		t.Error("the change is not forgotten")
	}
}
