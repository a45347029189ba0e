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
	// answerShare is the number of bytes that are sent concurrently to one user, per processor. A response counts as at
	// most largestAnswer, so that large responses to one user use half of the processors.
	answerShare   = 4 << 20
	largestAnswer = 2 * answerShare
	// usersAtOnce is the number of users who may use their whole share at the same time.
	usersAtOnce = 32
	// maxWaitingAnswers bounds the waiting responses to one user. answerPatience bounds the time for which each waits.
	maxWaitingAnswers = DefaultPerUser
	answerPatience    = 10 * time.Second
	// answerTime bounds the time for sending a response that is counted.
	answerTime = time.Minute
	// freeBytes is the size up to which a response is not counted.
	freeBytes = 32 << 10
	// compression is the number of bytes of JSON whose cost equals that of one byte that was compressed before.
	compression = 8
)

// NewAnswerQueue returns a queue for responses.
func NewAnswerQueue() *budget.Queue {
	share := int64(max(answerShare*runtime.GOMAXPROCS(0), largestAnswer))
	return budget.NewQueue(budget.QueueOptions{
		Total: usersAtOnce * share, Share: share, Largest: largestAnswer,
		Waiting: maxWaitingAnswers, Patience: answerPatience,
	})
}

// answerCost returns the cost of sending data, in bytes.
func answerCost(data any) int64 {
	var size int64
	switch d := data.(type) {
	case envelope.Gzipped:
		size = d.Size() / compression
	case envelope.Body:
		size = d.Size()
	}
	if size <= freeBytes {
		return 0
	}
	return size
}

// expire ends the response after answerTime, even if the client does not read. The returned function lets the
// connection serve further requests.
func (t *Table) expire(w http.ResponseWriter) (reset func()) {
	connection := http.NewResponseController(w)
	// An error means that there is no connection, or that it has ended.
	_ = connection.SetWriteDeadline(time.Now().Add(cmp.Or(t.answerTime, answerTime)))
	return func() { _ = connection.SetWriteDeadline(time.Time{}) }
}

// writeAnswer writes a result when the queue admits the response.
func (t *Table) writeAnswer(ctx context.Context, w http.ResponseWriter, r *http.Request, result Result) {
	result = negotiate(w.Header(), r.Header, result)
	if cost := answerCost(result.Data); cost > 0 {
		place, err := t.Answers.Enter(ctx, holder(ctx), cost)
		if err != nil {
			w.Header().Del("ETag")
			envelope.WriteError(ctx, w, err)
			return
		}
		defer place.Leave()
		reset := t.expire(w)
		defer reset()
	}
	envelope.WriteData(ctx, w, result.Data, result.Meta)
}
