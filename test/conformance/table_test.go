// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// minRequests is the minimum number of different tested requests for each response code. The minimum applies separately
// to each way to reach the API, for example through kube-apiserver.
const minRequests = 2

var results = &table{ways: map[cell]map[string]bool{}, tests: map[string]bool{}}

type cell struct {
	code int
	door string
}

// table counts the tested requests for each expected response code. It counts separately for each way to reach the API,
// for example through kube-apiserver.
type table struct {
	mu    sync.Mutex
	doors []string
	ways  map[cell]map[string]bool
	tests map[string]bool
}

func (r *table) setDoors(ways []door) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doors = nil
	for _, d := range ways {
		r.doors = append(r.doors, d.name)
	}
}

// note records whether a request got the expected response. A request that has failed once remains failed.
func (r *table) note(expectedCode int, accessPath, request string, passed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := cell{expectedCode, accessPath}
	if r.ways[at] == nil {
		r.ways[at] = map[string]bool{}
	}
	before, known := r.ways[at][request]
	r.ways[at][request] = passed && (before || !known)
}

// done records that a test has recorded all its results.
func (r *table) done(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tests[t.Name()] = true
}

func (r *table) count(at cell) (passed, failed int) {
	for _, ok := range r.ways[at] {
		if ok {
			passed++
		} else {
			failed++
		}
	}
	return passed, failed
}

func (r *table) gaps() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, code := range wire.Codes() {
		for _, d := range r.doors {
			if passed, failed := r.count(cell{code, d}); passed < minRequests || failed > 0 {
				out = append(out, fmt.Sprintf("%d through %s: %d ways as they should, %d not", code, d, passed, failed))
			}
		}
	}
	return out
}

func (r *table) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(w, "code\t"+strings.Join(r.doors, "\t"))
	codes := wire.Codes()
	slices.Sort(codes)
	for _, code := range codes {
		_, _ = fmt.Fprintf(w, "\n%d", code)
		for _, d := range r.doors {
			switch passed, failed := r.count(cell{code, d}); {
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
