// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"cmp"
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

const (
	// answerShare is the limit for the bytes of concurrent responses to one user, per processor. The number of
	// processors is GOMAXPROCS.
	answerShare   = 4 << 20
	maxAnswerCost = 2 * answerShare
	// usersAtOnce is the number of users who can reach their limit for concurrent responses at the same time. The limit
	// for all users together is usersAtOnce times the limit for one user.
	usersAtOnce = 32
	// maxWaitingAnswers is the maximum number of waiting responses to one user. A response waits if other responses
	// have reached the limits for concurrent responses.
	maxWaitingAnswers = DefaultPerUser
	// answerPatience bounds the time for which a response waits until other responses have been sent.
	answerPatience = 10 * time.Second
	// answerTime is the time in which a client must receive a response, unless the response is small. A small response
	// has at most freeBytes.
	answerTime = time.Minute
	// freeBytes is the maximum size of a small response, in bytes. A small response does not wait for other
	// responses, and does not count in the limits for concurrent responses.
	freeBytes = 32 << 10
	// compression is the assumed ratio of the uncompressed size to the compressed size of a response. The ratio is used
	// to estimate the compressed size, because only the uncompressed size is known.
	compression = 8
)

// NewAnswerQueue returns the queue that bounds the bytes of concurrent responses, per user and in total. Further
// responses wait.
func NewAnswerQueue() *budget.Queue {
	share := int64(max(answerShare*runtime.GOMAXPROCS(0), maxAnswerCost))
	return budget.NewQueue(budget.QueueOptions{
		Total: usersAtOnce * share, Share: share, Largest: maxAnswerCost,
		Waiting: maxWaitingAnswers, Patience: answerPatience,
	})
}

// answerCost estimates the number of bytes on the network. It returns 0 if the response is so small that it is sent
// without waiting for other responses.
func answerCost(data envelope.Body) int64 {
	size := data.Size()
	if _, ok := data.(envelope.Gzipped); ok {
		size /= compression
	}
	if size <= freeBytes {
		return 0
	}
	return size
}

// expire sets a write deadline of answerTime on the connection, so that a client that does not read cannot keep the
// response in memory. The HTTP server resets the deadline for the next request on the connection.
func (t *Table) expire(w http.ResponseWriter) {
	// The error is ignored. It means that w does not support deadlines, or that the connection has ended.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(cmp.Or(t.answerTime, answerTime)))
}

// writeAnswer writes result as an envelope. A response of more than freeBytes may first wait until other responses have
// been sent. If too many responses wait, or if the wait is too long, writeAnswer writes an error with the code 42900.
func (t *Table) writeAnswer(ctx context.Context, w http.ResponseWriter, r *http.Request, result Result) {
	result = negotiate(w.Header(), r.Header, result)
	data, err := envelope.Encode(result.Data)
	if err != nil {
		envelope.WriteError(ctx, w, err)
		return
	}
	if cost := answerCost(data); cost > 0 {
		place, err := t.Answers.Enter(ctx, holder(ctx), cost)
		if err != nil {
			w.Header().Del("ETag")
			envelope.WriteError(ctx, w, err)
			return
		}
		defer place.Leave()
		t.expire(w)
	}
	envelope.WriteData(ctx, w, data, result.Meta)
}
