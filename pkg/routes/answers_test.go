// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/kubevision-io/kubevision/pkg/envelope"
)

// stuckWriter is the response to a client that reads nothing until it is released.
type stuckWriter struct {
	*httptest.ResponseRecorder

	release chan struct{}
}

// Write waits for the client.
func (w stuckWriter) Write(p []byte) (int, error) {
	<-w.release
	return w.ResponseRecorder.Write(p)
}

// TestAnswersOfOneUser verifies that large answers to one user wait for each other, and that no small answer and no
// answer to another user does.
func TestAnswersOfOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := &Table{Answers: NewAnswerQueue()}
		large, small := envelope.Pieces{[]byte(strings.Repeat("1", largestAnswer))}, envelope.Pieces{[]byte("1")}
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
