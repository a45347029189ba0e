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

// Raw is a response that is not an envelope, for example a file or a log that is followed.
type Raw struct {
	// Header is the header of the response.
	Header http.Header
	// Write writes the body of the response to w, which sends all data immediately. If Write returns an error before it
	// has written data, the client gets the error in an envelope. A later error aborts the response, so that the client
	// detects that the response is incomplete.
	Write func(ctx context.Context, w io.Writer) error
}

// pieceTime bounds the time for which one write to a Raw response waits for the client.
const pieceTime = 10 * time.Second

func (t *Table) sendRaw(ctx context.Context, w http.ResponseWriter, r Route, raw *Raw, leaveInFlight func()) {
	if u, ok := genericapirequest.UserFrom(ctx); ok && r.Endless {
		response, leaveStreams, err := t.Streams.EnterResponse(ctx, u)
		if err != nil { // for example because the user has too many streams
			envelope.WriteError(ctx, w, err)
			return
		}
		defer leaveStreams()
		ctx = response
		leaveInFlight() // the response counts as a stream instead
	}
	t.writeRaw(ctx, w, raw)
}

// writeRaw writes raw. If raw.Write fails before it has written data, the client gets the error. If it fails later, for
// example because the client is too slow, the response is aborted.
func (t *Table) writeRaw(ctx context.Context, w http.ResponseWriter, raw *Raw) {
	out := &rawWriter{
		ctx: ctx, w: w, connection: http.NewResponseController(w), limit: cmp.Or(t.rawWriteTimeout, pieceTime),
		header: raw.Header,
	}
	out.clearDeadline()
	err := raw.Write(ctx, out)
	switch {
	case err == nil:
		out.begin()
	case !out.begun:
		out.setDeadline()
		envelope.WriteError(ctx, w, err)
	default:
		panic(http.ErrAbortHandler)
	}
}

type rawWriter struct {
	ctx context.Context //nolint:containedctx // that of the request
	w   http.ResponseWriter
	// connection sets the write deadlines of the response, and flushes the response.
	connection *http.ResponseController
	// limit bounds the time of each write.
	limit  time.Duration
	header http.Header
	begun  bool
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

func (o *rawWriter) clearDeadline() {
	// HTTP/2 would end a stream at the deadline, even if no data are being sent.
	_ = o.connection.SetWriteDeadline(time.Time{}) // an error means that there is no connection
}

func (o *rawWriter) setDeadline() {
	_ = o.connection.SetWriteDeadline(time.Now().Add(o.limit)) // as above
}

// Write implements io.Writer. It sends p immediately. The first call also sends the header.
func (o *rawWriter) Write(p []byte) (int, error) {
	o.begin()
	o.setDeadline()
	n, err := o.w.Write(p)
	if err == nil {
		err = o.connection.Flush()
	}
	if errors.Is(err, http.ErrNotSupported) { // the data are sent at the end of the request
		err = nil
	}
	if err == nil {
		o.clearDeadline()
	}
	return n, err //nolint:wrapcheck // as net.Conn returns it
}
