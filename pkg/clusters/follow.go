// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"io"
	"net/http"
	"time"
)

type endlessKey struct{}

func isEndless(r *http.Request) bool {
	return isWatch(r) || isFollowed(r.Context()) || isForCache(r.Context())
}

func isFollowed(ctx context.Context) bool { return ctx.Value(endlessKey{}) != nil }

// Follow sends the call as the user, and returns the response body as a stream that may have no end, such as a followed
// log. The caller must close the stream. Follow returns an error if the response has not begun within callTimeout. The
// caller must bound the number and the memory of such responses.
func (c *Client) Follow(ctx context.Context, call Call) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, endlessKey{}, true))
	late := time.AfterFunc(callTimeout, func() { cancel(context.DeadlineExceeded) })
	stream, err := c.openEndless(withStreamedResponse(ctx), call)
	if !late.Stop() && err == nil {
		_ = stream.Close()
		err = context.DeadlineExceeded
	}
	if err != nil {
		cancel(nil)
		return nil, err
	}
	return &followed{ReadCloser: stream, cancel: cancel}, nil
}

func (c *Client) openEndless(ctx context.Context, call Call) (io.ReadCloser, error) {
	client, err := c.endless()
	if err != nil {
		return nil, err
	}
	return requestOf(client, call).Stream(ctx)
}

// followed is a response body that cancels the request when it is closed.
type followed struct {
	io.ReadCloser

	cancel context.CancelCauseFunc
}

// Close cancels the request and closes the body.
func (f *followed) Close() error {
	f.cancel(nil)
	return f.ReadCloser.Close() //nolint:wrapcheck // as it is
}
