// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"time"

	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// Raw is a response that is not an envelope: a file, or a text without an end.
type Raw struct {
	// Header is the header of the response.
	Header http.Header
	// Write writes the body. Each write is sent immediately. If Write returns an error before it has written anything,
	// the error is the response. Otherwise the connection is aborted, so that the client detects an incomplete
	// response.
	Write func(ctx context.Context, w io.Writer) error
}

// pieceTime bounds the time for sending one part of a response without an end.
const pieceTime = 10 * time.Second

// sendRaw writes a response that is not an envelope. A response without an end counts as a stream, and no longer as a
// request.
func (t *Table) sendRaw(ctx context.Context, w http.ResponseWriter, r Route, raw *Raw, leave func()) {
	if u, ok := genericapirequest.UserFrom(ctx); ok && r.Endless {
		response, leaveStreams, err := t.Streams.EnterResponse(ctx, u)
		if err != nil {
			envelope.WriteError(ctx, w, err)
			return
		}
		defer leaveStreams()
		ctx = response
		leave()
	}
	t.writeRaw(ctx, w, raw)
}

// writeRaw writes a response that is not an envelope. It ends the response if the client does not read for pieceTime.
func (t *Table) writeRaw(ctx context.Context, w http.ResponseWriter, raw *Raw) {
	out := &rawWriter{
		ctx: ctx, w: w, connection: http.NewResponseController(w), limit: cmp.Or(t.pieceTime, pieceTime),
		header: raw.Header,
	}
	out.wait()
	err := raw.Write(ctx, out)
	switch {
	case err == nil:
		out.begin()
	case !out.begun:
		out.hurry()
		envelope.WriteError(ctx, w, err)
	default:
		panic(http.ErrAbortHandler)
	}
}

type rawWriter struct {
	ctx context.Context //nolint:containedctx // that of the request
	w   http.ResponseWriter
	// connection controls the connection of w. limit bounds the time of each write.
	connection *http.ResponseController
	limit      time.Duration
	header     http.Header
	begun      bool
}

func (o *rawWriter) begin() {
	if o.begun {
		return
	}
	o.begun = true
	envelope.MarkStreamed(o.ctx)
	maps.Copy(o.w.Header(), o.header)
	o.w.WriteHeader(http.StatusOK)
}

// wait removes the deadline until the next piece is sent. HTTP/2 ends a stream at its deadline, even if no data are
// being sent.
func (o *rawWriter) wait() {
	_ = o.connection.SetWriteDeadline(time.Time{}) // an error means that there is no connection
}

// hurry bounds the time in which the client receives the next piece.
func (o *rawWriter) hurry() {
	_ = o.connection.SetWriteDeadline(time.Now().Add(o.limit)) // as above
}

// Write sends a piece.
func (o *rawWriter) Write(p []byte) (int, error) {
	o.begin()
	o.hurry()
	n, err := o.w.Write(p)
	if err == nil {
		err = o.connection.Flush()
	}
	if errors.Is(err, http.ErrNotSupported) { // the data are sent at the end of the request
		err = nil
	}
	if err == nil {
		o.wait()
	}
	return n, err //nolint:wrapcheck // as net.Conn returns it
}
