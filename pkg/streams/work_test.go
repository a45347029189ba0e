// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/kubevision-io/kubevision/pkg/userlimit"
)

// TestWork verifies that Stream.Work delays a message if the user has exceeded the limit for processor time.
func TestWork(t *testing.T) {
	work := userlimit.NewWork()
	work.Charge("somebody", time.Minute)
	ended := make(chan error, 1)
	_, address := serveStreams(t, Options{Work: work}, &Handler{
		Received: func(_ context.Context, s *Stream, _ Message) error {
			err := s.Work(func() error { return errors.New("processed") })
			ended <- err
			return err
		},
	})
	conn := dial(t, address)
	if err := conn.WriteMessage(websocket.TextMessage, []byte("x")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		t.Fatalf("the message did not wait: %v", err)
	case <-time.After(100 * time.Millisecond): // the end of the stream ends the wait
	}
}
