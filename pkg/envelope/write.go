// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"k8s.io/apiserver/pkg/audit"
	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/gzipmember"
	"github.com/kubevision-io/kubevision/pkg/redaction"
)

type (
	// Raw is data in JSON, which is sent unchanged.
	Raw []byte
	// Pieces is Raw in several parts.
	Pieces [][]byte
	// Body is data in JSON that is written without being joined in memory.
	Body interface {
		// Size returns the length of the JSON.
		Size() int64
		io.WriterTo
	}
	// Compressible is a Body that is also available in compressed parts.
	Compressible interface {
		Body
		// Segments returns the compressed parts.
		Segments() iter.Seq[gzipmember.Segment]
	}
	// Gzipped is data that is sent as gzip to clients that accept gzip.
	Gzipped struct{ Compressible }
)

// These constants bound the parts of an envelope that repeat text of a client or a cluster.
const (
	maxField    = 1 << 10
	maxWarnings = 64
)

const auditAnnotationPrefix = dashboardv1alpha1.GroupName + "/"

// WriteData writes a successful response.
func WriteData(ctx context.Context, w http.ResponseWriter, data any, meta dashboardv1alpha1.Meta) {
	body, err := Encode(data)
	if err != nil {
		WriteError(ctx, w, err)
		return
	}
	write(ctx, w, dashboardv1alpha1.Header{Code: dashboardv1alpha1.CodeOK, Message: "success"}, body, meta)
}

// WriteError writes a response with the code, message and data of the error, and logs its cause.
func WriteError(ctx context.Context, w http.ResponseWriter, err error) {
	e := As(err)
	logger := klog.FromContext(ctx)
	switch {
	case e.Code >= dashboardv1alpha1.CodeInternal && IsGone(ctx):
		logger.V(3).Info("Client went away before the response", "err", redaction.Cut(err.Error()))
	case e.Code >= dashboardv1alpha1.CodeInternal:
		logger.Error(nil, "Request failed", "code", e.Code, "err", redaction.Cut(err.Error()))
	default:
		logger.V(3).Info("Request refused", "code", e.Code, "reason", redaction.Cut(err.Error()))
	}
	body, err := Encode(e.Data)
	if err != nil {
		logger.Error(err, "Failed to encode the data of an error")
		body = Pieces{[]byte("null")}
	}
	meta := dashboardv1alpha1.Meta{Field: redaction.CutTo(e.Field, maxField), RetryAfterSeconds: e.RetryAfterSeconds}
	write(ctx, w, dashboardv1alpha1.Header{Code: e.Code, Message: e.Message}, body, meta)
}

// cutAll truncates texts of clusters, and bounds their number.
func cutAll(texts []string) []string {
	if len(texts) > maxWarnings {
		texts = append(slices.Clone(texts[:maxWarnings]), fmt.Sprintf("and %d more", len(texts)-maxWarnings))
	}
	out := make([]string, 0, len(texts))
	for _, text := range texts {
		out = append(out, redaction.Cut(text))
	}
	return out
}

// Encode returns data in JSON. Its error can be sent to the caller.
func Encode(data any) (Body, error) {
	switch d := data.(type) {
	case nil:
		return Pieces{[]byte("null")}, nil
	case Raw:
		return Pieces{d}, nil
	case Body:
		return d, nil
	default:
		encoded, err := json.Marshal(d)
		if err != nil {
			return nil, Internal(fmt.Errorf("encoding the response: %w", err))
		}
		return Pieces{encoded}, nil
	}
}

// annotate adds the code to the audit event, because the HTTP status does not show it.
func annotate(ctx context.Context, code dashboardv1alpha1.Code, requestID string) {
	audit.AddAuditAnnotations(ctx, auditAnnotationPrefix+"code", strconv.Itoa(int(code)),
		auditAnnotationPrefix+"request-id", requestID)
}

func write(
	ctx context.Context, w http.ResponseWriter, header dashboardv1alpha1.Header, data Body, meta dashboardv1alpha1.Meta,
) {
	logger := klog.FromContext(ctx)
	if s := StateFrom(ctx); s != nil {
		meta.RequestID = s.RequestID
		s.setCode(header.Code)
	}
	annotate(ctx, header.Code, meta.RequestID)

	message, err := json.Marshal(redaction.Cut(header.Message))
	if err != nil { // Impossible, because every string has a JSON encoding.
		logger.Error(err, "Failed to encode the message")
		message = []byte(`""`)
	}
	meta.Warnings = cutAll(meta.Warnings)
	metaJSON, err := json.Marshal(meta)
	if err != nil { // Impossible, because the type contains only strings and numbers.
		logger.Error(err, "Failed to encode the meta")
		metaJSON = []byte("{}")
	}
	head := make([]byte, 0, len(message)+48)
	head = append(head, `{"code":`...)
	head = strconv.AppendInt(head, int64(header.Code), 10)
	head = append(head, `,"message":`...)
	head = append(head, message...)
	head = append(head, `,"data":`...)
	tail := append(append([]byte(`,"meta":`), metaJSON...), "}\n"...)

	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if gzipped, ok := data.(Gzipped); ok {
		member := gzipped.member(head, tail)
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", strconv.FormatInt(member.Size(), 10))
		w.WriteHeader(http.StatusOK)
		err = send(w, member)
	} else {
		w.Header().Set("Content-Length", strconv.FormatInt(int64(len(head)+len(tail))+data.Size(), 10))
		w.WriteHeader(http.StatusOK)
		err = send(w, Pieces{head}, data, Pieces{tail})
	}
	if err != nil {
		logger.V(3).Info("Client went away", "error", err.Error())
	}
}

// member returns the envelope with the compressed data.
func (g Gzipped) member(head, tail []byte) gzipmember.Member {
	return gzipmember.Member{Segments: func(yield func(gzipmember.Segment) bool) {
		if !yield(gzipmember.Store(head)) {
			return
		}
		for segment := range g.Segments() {
			if !yield(segment) {
				return
			}
		}
		yield(gzipmember.Store(tail))
	}}
}

// joined is the size up to which pieces are joined. It is the size of several TLS records.
const joined = 64 << 10

//nolint:gochecknoglobals // small responses would spend much of their time on new buffers
var buffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, joined) }}

// send joins small pieces, and writes large ones directly.
func send(w io.Writer, parts ...io.WriterTo) error {
	buffered, _ := buffers.Get().(*bufio.Writer)
	buffered.Reset(w)
	defer func() {
		buffered.Reset(nil)
		buffers.Put(buffered)
	}()
	for _, part := range parts {
		if _, err := part.WriteTo(buffered); err != nil {
			return err //nolint:wrapcheck // it means only that the client has disconnected
		}
	}
	return buffered.Flush() //nolint:wrapcheck // as above
}

// Size returns the length of all pieces.
func (p Pieces) Size() int64 {
	var n int64
	for _, piece := range p {
		n += int64(len(piece))
	}
	return n
}

// WriteTo writes the pieces.
func (p Pieces) WriteTo(w io.Writer) (int64, error) {
	var written int64
	for _, piece := range p {
		n, err := w.Write(piece)
		written += int64(n)
		if err != nil {
			return written, err //nolint:wrapcheck // it is passed on
		}
	}
	return written, nil
}
