// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"errors"
	"io"
	goruntime "runtime"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// TestControlEvents verifies how the bookmark events and error events of a watch are handled:
//   - A large event is rejected without decoding, because the decoded event could use too much memory.
//   - A small event is returned with the fields that a Reflector uses.
func TestControlEvents(t *testing.T) {
	read := func(text string) (watch.EventType, runtime.Object, error) {
		return newDecoder(io.NopCloser(strings.NewReader(text+"\n")), podKind).next()
	}
	for _, part := range []string{`"BOOKMARK","object":{"metadata":{"managedFields":`,
		`"ERROR","object":{"details":{"causes":`} {
		large := `{"type":` + part + "[" + strings.Repeat("{},", 1<<20) + "{}]}}}"
		before := allocated()
		if _, _, err := read(large); !errors.Is(err, errTooLarge) {
			t.Errorf("%.40s was read: %v", large, err)
		}
		if grown := allocated() - before; grown > 5*uint64(len(large)) { // The line buffer grows by doubling.
			t.Errorf("%.40s took %d bytes", large, grown)
		}
	}
	_, o, err := read(
		`{"type":"ERROR","object":{"code":410,"reason":"Expired","message":"too old","status":"Failure"}}`,
	)
	if err != nil || !apierrors.IsResourceExpired(apierrors.FromObject(o)) {
		t.Errorf("%v, %v", o, err)
	}
	_, o, err = read(`{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}`)
	if bookmark, ok := o.(*Object); err != nil || !ok || bookmark.ResourceVersion != "7" {
		t.Errorf("%+v, %v", o, err)
	}
}

func allocated() uint64 {
	var stats goruntime.MemStats
	goruntime.ReadMemStats(&stats)
	return stats.TotalAlloc
}
