// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package containerlogs

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// TestCompressedLog verifies that a request for a compressed log fails if the memory limit is too low for a compressor.
// The request must fail before the log is opened. A compressor must use at most compressorBytes of memory.
func TestCompressedLog(t *testing.T) {
	result, err := (&Provider{}).text(nil, &granted{selection: &selection{
		pod: "web", namespace: "shop", options: options{compressed: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	account := budget.New(1<<30).Account("jane", sourceBytes+compressorBytes-1)
	defer account.Close()
	err = result.Raw.Write(budget.WithAccount(t.Context(), account), io.Discard)
	if err == nil || envelope.As(err).Code != dashboardv1alpha1.CodeTooManyRequests {
		t.Errorf("the error is %v", err)
	}
	all := make([]*gzip.Writer, 32)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range all {
		all[i] = gzip.NewWriter(io.Discard)
		if _, err := io.WriteString(all[i], "a line\n"); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (after.HeapAlloc - before.HeapAlloc) / uint64(len(all)); each > compressorBytes {
		t.Errorf("a compressor takes %d bytes", each)
	}
	runtime.KeepAlive(all)
}

func TestTail(t *testing.T) {
	for tail, want := range map[string]int64{
		"": -1, "0": 0, "7": 7, "1000000000000": maxTail, "9223372036854775807": maxTail,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?tailLines="+tail, http.NoBody)
		got, err := parseOptions(&routes.Request{Request: r}, time.Now())
		if err != nil || got.tail != want {
			t.Errorf("%s: %d lines (%v)", tail, got.tail, err)
		}
	}
}
