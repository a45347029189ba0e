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
	// Raw is encoded JSON, which is sent unchanged.
	Raw []byte
	// Pieces is encoded JSON in several consecutive slices.
	Pieces [][]byte
	// Body is encoded JSON that is written without being copied into one slice.
	Body interface {
		// Size returns the number of bytes of the uncompressed JSON.
		Size() int64
		io.WriterTo
	}
	// Compressible is a Body that is also available in gzip-compressed segments.
	Compressible interface {
		Body
		// Segments returns the compressed segments in order.
		Segments() iter.Seq[gzipmember.Segment]
	}
	// Gzipped is a Compressible that is sent with the content encoding gzip. The client must accept this encoding.
	Gzipped struct{ Compressible }
)

const (
	// maxField is the maximum size of meta.field in bytes. The text may come from a client, and may be arbitrarily
	// long.
	maxField = 1 << 10
	// maxWarnings is the maximum number of texts in meta.warnings. A cluster may send any number of warnings.
	maxWarnings = 64
)

const auditAnnotationPrefix = dashboardv1alpha1.GroupName + "/"

// WriteData writes an envelope with code 0, data and meta. If data cannot be encoded, it writes an error instead.
func WriteData(ctx context.Context, w http.ResponseWriter, data any, meta dashboardv1alpha1.Meta) {
	body, err := Encode(data)
	if err != nil {
		WriteError(ctx, w, err)
		return
	}
	write(ctx, w, dashboardv1alpha1.Header{Code: dashboardv1alpha1.CodeOK, Message: "success"}, body, meta)
}

// WriteError writes an envelope with the code, message and data of As(err), and logs err.
func WriteError(ctx context.Context, w http.ResponseWriter, err error) {
	e := As(err)
	logger := klog.FromContext(ctx)
	if s := StateFrom(ctx); s != nil && s.Cluster() != "" {
		logger = logger.WithValues("cluster", s.Cluster())
	}
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

// cutAll returns the first maxWarnings texts, each truncated to redaction.MaxText bytes. If there are more texts, it
// appends the number of omitted texts as another text.
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

// Encode returns data as JSON. Values of type Raw and Body are not encoded again. It returns an error with CodeInternal
// if data cannot be encoded.
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

// annotate adds the code and the request id to the audit event, because the HTTP status is 200 for all codes.
func annotate(ctx context.Context, code dashboardv1alpha1.Code, requestID string) {
	if !audit.AuditContextFrom(ctx).Enabled() {
		return
	}
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

// member returns a gzip member that contains three texts: head, the JSON of g, and tail.
func (g Gzipped) member(head, tail []byte) gzipmember.Member {
	return gzipmember.Member{Segments: func(yield func(gzipmember.Segment) bool) {
		// head and tail are short, so they are stored uncompressed.
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

// writeBufferBytes is the size of the buffer that combines small writes to a client.
const writeBufferBytes = 64 << 10

//nolint:gochecknoglobals // small responses would spend much of their time on new buffers
var buffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, writeBufferBytes) }}

// send writes parts to w. Small parts are joined in a buffer, and large parts are written directly.
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

// Size returns the number of bytes of all slices.
func (p Pieces) Size() int64 {
	var n int64
	for _, piece := range p {
		n += int64(len(piece))
	}
	return n
}

// WriteTo implements io.WriterTo.
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
