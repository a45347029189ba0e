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
	// answerShare is the number of bytes that are sent concurrently to one user, for each processor. A response counts
	// as at most largestAnswer, so that large responses to one user use half of the processors.
	answerShare   = 4 << 20
	largestAnswer = 2 * answerShare
	// usersAtOnce is the number of users who may use their whole share at the same time.
	usersAtOnce = 32
	// maxWaitingAnswers bounds the waiting responses to one user. answerPatience bounds the time for which a response
	// waits.
	maxWaitingAnswers = DefaultPerUser
	answerPatience    = 10 * time.Second
	// answerTime bounds the time in which a client receives a response that counts. Other responses end with the
	// request.
	answerTime = time.Minute
	// freeBytes is the size up to which a response is not counted.
	freeBytes = 32 << 10
	// compression is the factor by which the counted size of data is reduced if the data are already compressed,
	// because a client receives such data faster.
	compression = 8
)

// NewAnswerQueue returns the queue that bounds the bytes of responses that are being sent, for each user and in total.
func NewAnswerQueue() *budget.Queue {
	share := int64(max(answerShare*runtime.GOMAXPROCS(0), largestAnswer))
	return budget.NewQueue(budget.QueueOptions{
		Total: usersAtOnce * share, Share: share, Largest: largestAnswer,
		Waiting: maxWaitingAnswers, Patience: answerPatience,
	})
}

// answerCost returns the cost of sending data, in bytes.
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

// expire sets a write deadline that ends the response after answerTime, even if the client does not read. The next
// request on the connection sets its own deadline.
func (t *Table) expire(w http.ResponseWriter) {
	// An error means that the writer has no connection, or that the connection has ended.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(cmp.Or(t.answerTime, answerTime)))
}

// writeAnswer writes a result when the queue admits the response.
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
