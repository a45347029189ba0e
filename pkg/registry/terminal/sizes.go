// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"math"
	"sync"

	"k8s.io/client-go/tools/remotecommand"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// sizeOf returns the terminal size in f, or a zero size if f has none. It returns an error if the numbers are out of
// range.
func sizeOf(f *dashboardv1alpha1.TerminalFrame) (size remotecommand.TerminalSize, err error) {
	if size.Width, err = dimension("cols", f.Cols); err != nil {
		return remotecommand.TerminalSize{}, err
	}
	if size.Height, err = dimension("rows", f.Rows); err != nil {
		return remotecommand.TerminalSize{}, err
	}
	return size, nil
}

func dimension(field string, n int32) (uint16, error) {
	if n < 0 || n > math.MaxUint16 {
		return 0, envelope.Invalid(field, "%s must be between 0 and %d", field, math.MaxUint16)
	}
	return uint16(n), nil
}

// sizeQueue stores the last terminal size until Next has returned it.
type sizeQueue struct {
	mu    sync.Mutex
	last  chan remotecommand.TerminalSize
	ended bool
}

func newSizeQueue() *sizeQueue {
	return &sizeQueue{last: make(chan remotecommand.TerminalSize, 1)}
}

// push replaces the stored size. It ignores a size whose width or height is 0.
func (q *sizeQueue) push(size remotecommand.TerminalSize) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended || size.Width == 0 || size.Height == 0 {
		return
	}
	select {
	case <-q.last:
	default:
	}
	q.last <- size
}

// Next implements remotecommand.TerminalSizeQueue. It blocks until there is a new size, and returns nil after close.
func (q *sizeQueue) Next() *remotecommand.TerminalSize {
	size, ok := <-q.last
	if !ok {
		return nil
	}
	return &size
}

func (q *sizeQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ended {
		q.ended = true
		close(q.last)
	}
}
