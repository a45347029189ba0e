// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

type stuckWriter struct {
	*httptest.ResponseRecorder

	release chan struct{}
}

// Write blocks until the client is released.
func (w stuckWriter) Write(p []byte) (int, error) {
	<-w.release
	return w.ResponseRecorder.Write(p)
}

// TestAnswersOfOneUser verifies that large responses to one user wait for each other, and that small responses and
// responses to other users do not wait.
func TestAnswersOfOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &Table{Answers: NewAnswerQueue()}
		large, small := envelope.Pieces{[]byte(strings.Repeat("1", maxAnswerCost))}, envelope.Pieces{[]byte("1")}
		answer := func(w http.ResponseWriter, name string, data any) time.Duration {
			begun := time.Now()
			ctx := genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: name})
			r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
			table.writeAnswer(ctx, w, r, Result{Data: data, Tag: `W/"tag"`})
			return time.Since(begun)
		}
		stuck := stuckWriter{httptest.NewRecorder(), make(chan struct{})}
		for range max(1, runtime.GOMAXPROCS(0)/2) {
			go answer(stuck, "greedy", large)
		}
		synctest.Wait()
		for name, data := range map[string]envelope.Pieces{"greedy": small, "modest": large} {
			w := httptest.NewRecorder()
			if waited := answer(w, name, data); waited != 0 || !strings.Contains(w.Body.String(), `"code":0,`) {
				t.Errorf("%s waits for %s: %.80s", name, waited, w.Body)
			}
		}
		w := httptest.NewRecorder()
		waited := answer(w, "greedy", large)
		if waited != answerPatience || !strings.Contains(w.Body.String(), `"code":42900,`) ||
			w.Header().Get("ETag") != "" {
			t.Errorf("the next answer ends after %s: %.80s, %v", waited, w.Body, w.Header())
		}
		time.AfterFunc(time.Second, func() { close(stuck.release) })
		w = httptest.NewRecorder()
		if waited := answer(w, "greedy", large); waited != time.Second ||
			!strings.Contains(w.Body.String(), `"code":0,`) {
			t.Errorf("the answer after it ends after %s: %.80s", waited, w.Body)
		}
	})
}

type endlessBody struct{ ended chan error }

// Size implements envelope.Body.
func (endlessBody) Size() int64 { return 1 << 40 }

// WriteTo implements envelope.Body.
func (b endlessBody) WriteTo(w io.Writer) (written int64, err error) {
	piece := bytes.Repeat([]byte{'1'}, freeBytes)
	for err == nil {
		var n int
		n, err = w.Write(piece)
		written += int64(n)
	}
	b.ended <- err
	return written, err
}

// TestClientsThatDoNotRead verifies that the server aborts an endless response if the client does not read the
// response.
func TestClientsThatDoNotRead(t *testing.T) {
	const limit = 100 * time.Millisecond
	table := &Table{answerTime: limit, rawWriteTimeout: limit}
	for name, write := range map[string]func(http.ResponseWriter, *http.Request, endlessBody){
		"answer": func(w http.ResponseWriter, r *http.Request, body endlessBody) {
			table.writeAnswer(r.Context(), w, r, Result{Data: body})
		},
		"response without an end": func(w http.ResponseWriter, r *http.Request, body endlessBody) {
			table.writeRaw(r.Context(), w, &Raw{Write: func(_ context.Context, w io.Writer) error {
				_, err := body.WriteTo(w)
				return err //nolint:wrapcheck // as net.Conn returns it
			}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			body := endlessBody{make(chan error, 1)}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				write(w, r, body)
			}))
			t.Cleanup(server.Close)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = response.Body.Close() })
			select {
			case err := <-body.ended:
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("it ended with %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Error("it goes on")
			}
		})
	}
}

// TestAnswersThatAreNotRead verifies that the server aborts a large response after answerTime if the client does not
// read the response.
func TestAnswersThatAreNotRead(t *testing.T) {
	table := &Table{Answers: NewAnswerQueue(), answerTime: 100 * time.Millisecond}
	text := strings.Repeat("1", 16<<20)
	for name, data := range map[string]any{
		"object": envelope.Raw(text), "list": envelope.Pieces{[]byte(text)}, "result": map[string]string{"text": text},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(ended)
				table.writeAnswer(r.Context(), w, r, Result{Data: data})
			}))
			t.Cleanup(server.Close)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = response.Body.Close() })
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("it goes on")
			}
		})
	}
}

// TestQuietResponses verifies that a streamed response can pause for longer than rawWriteTimeout and then continue. The
// test covers HTTP/1 and HTTP/2.
func TestQuietResponses(t *testing.T) {
	table := &Table{rawWriteTimeout: 100 * time.Millisecond}
	for name, isHTTP2 := range map[string]bool{"HTTP/1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				table.writeRaw(r.Context(), w, &Raw{Write: func(_ context.Context, w io.Writer) error {
					_, first := io.WriteString(w, "one ")
					time.Sleep(4 * table.rawWriteTimeout)
					_, second := io.WriteString(w, "two")
					return errors.Join(first, second)
				}})
			}))
			server.EnableHTTP2 = isHTTP2
			server.StartTLS()
			t.Cleanup(server.Close)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			text, err := io.ReadAll(response.Body)
			if err != nil || string(text) != "one two" || (response.ProtoMajor == 2) != isHTTP2 {
				t.Errorf("%s: %q (%v)", response.Proto, text, err)
			}
		})
	}
}
