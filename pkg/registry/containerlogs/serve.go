// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package containerlogs

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

const (
	// maxDuration is the maximum duration of an HTTP response with logs. Clients that follow logs for longer use a
	// WebSocket.
	maxDuration = 15 * time.Minute
	// recheckInterval is the time between two checks whether the caller may still read the logs, while the server sends
	// the logs without a WebSocket.
	recheckInterval = time.Second
	// compressorBytes is the number of bytes of memory for compressing one response.
	compressorBytes = 832 << 10
)

// Types of the frames of a WebSocket.
const (
	frameLog   = "log"
	frameError = "error"
	frameClose = "close"
)

// socket returns a WebSocket that sends each line in a separate frame.
func (p *Provider) socket(_ *routes.Request, g *granted) (routes.Result, error) {
	return routes.Result{Stream: &streams.Handler{
		Check:   func(ctx context.Context) error { return p.check(ctx, g) },
		Depends: []streams.Cluster{g.selection.caller.Connection()},
		Last:    lastFrame,
		Serve: func(ctx context.Context, s *streams.Stream) error {
			if err := s.Account().Take(sourceBytes * int64(g.selection.sourcesAtMost())); err != nil {
				return envelope.OutOfMemory(err)
			}
			err := g.selection.read(budget.WithAccount(ctx, s.Account()), func(e event) error {
				return s.SendText(encode(g.frame(e)))
			})
			if err != nil && ctx.Err() == nil {
				_ = s.SendText(encode(dashboardv1alpha1.LogFrame{Type: frameError, Data: envelope.As(err).Message}))
			}
			return err
		},
	}}, nil
}

// sourcesAtMost returns the maximum number of logs that are open at the same time.
func (s *selection) sourcesAtMost() int {
	if s.several() {
		return maxSources
	}
	return 1
}

// frame returns the WebSocket frame for e. If several logs are merged, the frame contains the names of the Pod and the
// container.
func (g *granted) frame(e event) dashboardv1alpha1.LogFrame {
	f := dashboardv1alpha1.LogFrame{Type: frameLog, Data: e.line.Text, Cut: e.line.Cut}
	if g.selection.options.timestamps && e.line.Time != "" {
		f.Data = e.line.Time + " " + f.Data
	}
	if g.selection.several() {
		f.Pod, f.Container = e.line.Pod, e.line.Container
	}
	if e.err != nil {
		f.Type, f.Data = frameError, envelope.As(e.err).Message
	}
	return f
}

// lastFrame returns the last frame of a WebSocket. The frame tells the client not to reconnect. At a shutdown of the
// server, lastFrame returns nil, because the client should reconnect.
func lastFrame(end streams.End) []byte {
	if end.Reason == streams.Shutdown {
		return nil
	}
	return encode(dashboardv1alpha1.LogFrame{Type: frameClose, Data: end.Message})
}

// encode returns f as JSON, without escaping angle brackets.
func encode(f dashboardv1alpha1.LogFrame) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(f); err != nil { // Impossible, because a frame contains only strings.
		return nil
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// text returns an HTTP response with the lines in the body, either as plain text or as a gzip file.
func (p *Provider) text(_ *routes.Request, g *granted) (routes.Result, error) {
	compressed := g.selection.options.compressed
	header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	if compressed {
		name := fmt.Sprintf("attachment; filename=%q", g.fileName())
		header = http.Header{"Content-Type": {"application/gzip"}, "Content-Disposition": {name}}
	}
	return routes.Result{Raw: &routes.Raw{Header: header, Write: func(ctx context.Context, w io.Writer) error {
		size := sourceBytes * int64(g.selection.sourcesAtMost())
		if compressed {
			size += compressorBytes
		}
		if err := budget.AccountFrom(ctx).Take(size); err != nil {
			return envelope.OutOfMemory(err)
		}
		tooLong := streams.NewEnd(streams.TooLong, "the response has reached its maximum duration")
		ctx, cancel := context.WithTimeoutCause(ctx, maxDuration, tooLong)
		defer cancel()
		ctx, stop := p.watched(ctx, g)
		defer stop()
		if !compressed {
			return g.writeText(ctx, w)
		}
		packed := gzip.NewWriter(w)
		if err := g.writeText(ctx, packed); err != nil {
			return err
		}
		return packed.Close() //nolint:wrapcheck // the connection is cut
	}}}, nil
}

// fileName returns the name of the gzip file. It contains only validated names of Kubernetes objects, so it needs no
// escapes.
func (g *granted) fileName() string {
	name := g.selection.namespace
	if g.selection.pod != "" {
		name += "-" + g.selection.pod
	}
	return name + ".log.gz"
}

// writeText writes each line to w. If several logs are merged, each line begins with the name of the Pod and the
// container.
func (g *granted) writeText(ctx context.Context, w io.Writer) error {
	return g.selection.read(ctx, func(e event) error {
		f := g.frame(e)
		if f.Type == frameError {
			f.Data = "error: " + f.Data
		}
		if g.selection.several() {
			f.Data = f.Pod + "/" + f.Container + " " + f.Data
		}
		_, err := io.WriteString(w, f.Data+"\n")
		return err //nolint:wrapcheck // the connection is cut
	})
}

// watched starts a goroutine that cancels the returned context with an error in these cases:
//   - The login session of the user has ended.
//   - The user may no longer read the logs.
//   - The cluster is no longer connected.
func (p *Provider) watched(ctx context.Context, g *granted) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		ticker := time.NewTicker(recheckInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-g.selection.caller.Connection().Done():
				cancel(streams.NewEnd(streams.ClusterGone, "the cluster is no longer connected"))
			case <-ticker.C:
				err := p.Session(ctx, g.user)
				if err == nil {
					err = p.check(ctx, g)
				}
				if err != nil && ctx.Err() == nil {
					cancel(err)
				}
			}
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}
