// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// Raw is a response that is no envelope: a file, or text without an end.
type Raw struct {
	// Header is that of the response.
	Header http.Header
	// Write writes the body. What it writes is sent at once. Its error is the response if it has written nothing, and
	// otherwise cuts the connection, so that the client knows that the response is not complete.
	Write func(ctx context.Context, w io.Writer) error
}

// writeRaw writes a response that is no envelope.
func writeRaw(ctx context.Context, w http.ResponseWriter, raw *Raw) {
	out := &rawWriter{ctx: ctx, w: w, header: raw.Header}
	err := raw.Write(ctx, out)
	switch {
	case err == nil:
		out.begin()
	case !out.begun:
		envelope.WriteError(ctx, w, err)
	default:
		panic(http.ErrAbortHandler)
	}
}

type rawWriter struct {
	ctx    context.Context //nolint:containedctx // that of the request
	w      http.ResponseWriter
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

// Write sends a piece.
func (o *rawWriter) Write(p []byte) (int, error) {
	o.begin()
	n, err := o.w.Write(p)
	if err == nil {
		err = http.NewResponseController(o.w).Flush()
	}
	if errors.Is(err, http.ErrNotSupported) { // the end of the request sends it
		err = nil
	}
	return n, err //nolint:wrapcheck // as the connection says it
}
