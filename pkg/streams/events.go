// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// eventsType is the media type of server-sent events.
const eventsType = "text/event-stream"

// events sends the messages of a stream as server-sent events. It implements transport. The client cannot send
// messages.
type events struct {
	w          http.ResponseWriter
	connection *http.ResponseController
	// limit bounds the time to send one message.
	limit time.Duration
	// gone is closed when the client has disconnected.
	gone <-chan struct{}
	// done is closed when the stream has ended.
	done <-chan struct{}
}

// write sends each line of data as a separate event. The first parameter, which is true for binary data, has no effect,
// because server-sent events are always text.
func (e *events) write(_ bool, data []byte) error {
	var out bytes.Buffer
	for line := range bytes.SplitSeq(data, []byte{'\n'}) {
		out.WriteString("data: ")
		out.Write(line)
		out.WriteString("\n\n")
	}
	return e.flush(out.Bytes(), e.limit)
}

func (e *events) flush(data []byte, timeout time.Duration) error {
	err := e.connection.SetWriteDeadline(time.Now().Add(timeout))
	if err == nil {
		_, err = e.w.Write(data)
	}
	if err == nil {
		err = e.connection.Flush()
	}
	if err == nil { // HTTP/2 resets a stream at its write deadline, even if nothing is being sent.
		err = e.connection.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		return fmt.Errorf("sending an event: %w", err)
	}
	return nil
}

// ping sends a comment in the format of server-sent events. Clients ignore comments.
func (e *events) ping() error { return e.flush([]byte(":\n\n"), e.limit) }

// hurry shortens the deadline of the write in progress to endTimeout. If the deadline cannot be set, the write still
// ends at the original deadline.
func (e *events) hurry() { _ = e.connection.SetWriteDeadline(time.Now().Add(endTimeout)) }

func (e *events) close(last []byte, end *End, _ <-chan struct{}) {
	if last != nil {
		_ = e.write(false, last) // the client may have disconnected
	}
	text, err := json.Marshal(map[string]string{"reason": string(end.Reason), "message": end.Message})
	if err == nil {
		_ = e.flush(fmt.Appendf(nil, "event: end\ndata: %s\n\n", text), endTimeout) // the client may have disconnected
	}
}

var errHungUp = errors.New("the client has disconnected")

func (e *events) read(time.Duration) (Message, error) {
	// Server-sent events carry no messages from the client.
	select {
	case <-e.gone:
	case <-e.done:
	}
	return Message{}, errHungUp
}

func (*events) subprotocol() string { return "" }

// OpenEvents responds to the request with server-sent events, and returns when the stream has ended. It returns an
// error only if no response was sent.
func (m *Manager) OpenEvents(w http.ResponseWriter, r *http.Request, u user.Info, verb string, h *Handler) error {
	if err := m.enter(u.GetName(), verb); err != nil {
		return err
	}
	e := &events{
		w: w, connection: http.NewResponseController(w), limit: m.timing.write, gone: r.Context().Done(),
	}
	s := m.newStream(r.Context(), e, u, verb, h)
	e.done = s.done.Done()
	header := w.Header()
	header.Set("Content-Type", eventsType)
	header.Set("X-Accel-Buffering", "no") // disables the buffering of proxies
	envelope.MarkStreamed(r.Context())
	w.WriteHeader(http.StatusOK)
	// If the message cannot be sent, the next message fails, too.
	_ = e.flush(fmt.Appendf(nil, "retry: %d\n\n", reconnectTime.Milliseconds()), e.limit)
	m.begin(s) //nolint:contextcheck // the stream has its own context
	s.run()
	<-s.closed
	return nil
}

// reconnectTime is the time from the end of a stream to the next attempt of the browser to connect.
const reconnectTime = time.Second
