// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"sync"

	"k8s.io/client-go/tools/remotecommand"
)

// sizeQueue holds the last size of a terminal that the command does not know yet.
type sizeQueue struct {
	mu    sync.Mutex
	last  chan remotecommand.TerminalSize
	ended bool
}

func newSizeQueue() *sizeQueue {
	return &sizeQueue{last: make(chan remotecommand.TerminalSize, 1)}
}

// push replaces a size that was not taken yet. A terminal without columns or rows has no size.
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

// Next implements remotecommand.TerminalSizeQueue.
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
