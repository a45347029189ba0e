// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"io"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/objects"
)

type stream struct {
	io.Reader

	closed int
}

func (s *stream) Close() error {
	s.closed++
	return nil
}

// TestEachEndsTheReading verifies that Listing.Each closes the list response, and that Close does not close it again.
// The limits for concurrent lists count open responses. A handler that reads metrics after the list must therefore not
// keep the response open.
func TestEachEndsTheReading(t *testing.T) {
	s := &stream{Reader: strings.NewReader(`{"items":[{"metadata":{"name":"a"}}]}`)}
	l := &Listing{stream: s}
	if _, err := l.Each(func(objects.Object) error { return nil }); err != nil || s.closed != 1 {
		t.Errorf("it was closed %d times: %v", s.closed, err)
	}
	l.Close()
	if s.closed != 1 {
		t.Errorf("it was closed %d times", s.closed)
	}
}
