// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

var watchedKinds = []string{
	"configmaps", "endpoints", "limitranges", "persistentvolumeclaims", "replicationcontrollers", "resourcequotas",
	"serviceaccounts", "services",
}

// TestMemoryOfWatches verifies that kubevision-apiserver frees the memory of a failed watch, even if the client's
// WebSocket stays open. A hostile cluster sends a very large list of objects for each watch.
func TestMemoryOfWatches(t *testing.T) {
	if environment.DetectsRaces() {
		t.Skip("the race detector needs several times the memory; make test-limits runs this test without it")
	}
	const most = 700
	for name, list := range map[string]http.HandlerFunc{
		"lists that almost fill the read cache": func(w http.ResponseWriter, _ *http.Request) {
			writeList(w, "1", 40, 4<<20)
		},
		"lists with a long resource version": func(w http.ResponseWriter, _ *http.Request) {
			writeList(w, strings.Repeat("1", 7<<20), 1, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFalseServer(t, theOther(t).Config())
			c := register(t, f.config(registeredToken), nil)
			ready(t, c)
			p := login(t, "watching")
			set().Bind(t, "watching", fixture.Grant{
				Role: kubevisionv1alpha1.RoleReadonly, Subjects: fixture.KubeVisionUsers(p.User), Cluster: c.Name,
			})
			p.becomes(t, fixture.Patience, c.Name, "/namespaces/default/resources/pods", wire.OK)
			f.fault.Store(new(func(r *http.Request) http.HandlerFunc {
				for _, kind := range watchedKinds {
					if r.URL.Path != "/api/v1/"+kind {
						continue
					}
					if r.URL.Query().Get("watch") != "" {
						return sendLargeEvent
					}
					return list
				}
				return nil
			}))
			pid := env.KubeVision.APIServer().PID()
			before := peak(t, pid)
			conn, refusal, err := p.client.WebSocket(t.Context(), wire.Request{
				Path: wire.DirectPath + "/ws/watch", Bearer: p.token,
			})
			if err != nil || refusal != nil {
				t.Fatalf("the watch is refused: %v, %v", refusal, err)
			}
			defer func() { _ = conn.Close() }()
			for end := time.Now().Add(*attackTime); ; {
				for _, kind := range watchedKinds {
					subscribeUntilError(t, conn, c.Name, kind)
				}
				if time.Now().After(end) {
					break
				}
				time.Sleep(time.Second) // the server bounds the rate of messages
			}
			if env.KubeVision.APIServer().PID() != pid {
				t.Fatal("the server has ended")
			}
			got := peak(t, pid)
			t.Logf("%d MiB, %d before", got, before)
			if got > most {
				t.Errorf("the server held %d MiB, want at most %d", got, most)
			}
		})
	}
}

func writeList(w http.ResponseWriter, version string, objects, size int) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"%s"},"items":[`, version)
	text := strings.Repeat("x", size)
	for i := range objects {
		if i > 0 {
			_, _ = io.WriteString(w, ",")
		}
		if _, err := fmt.Fprintf(w, `{"metadata":{"name":"o-%d","namespace":"default","resourceVersion":"1"},"a":"%s"}`,
			i, text); err != nil {
			return
		}
	}
	_, _ = io.WriteString(w, "]}")
}

// sendLargeEvent sends a watch event that is too large for the read cache.
func sendLargeEvent(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = http.NewResponseController(w).Flush()
	select {
	case <-r.Context().Done():
	case <-time.After(2 * time.Second):
		name := strings.Repeat("x", 9<<20)
		_, _ = io.WriteString(w, `{"type":"ADDED","object":{"metadata":{"name":"`+name+`"}}}`+"\n")
	}
}

func subscribeUntilError(t *testing.T, conn *websocket.Conn, cluster, kind string) {
	t.Helper()
	topic := cluster + ":" + kind
	if err := conn.WriteJSON(map[string]any{"action": "subscribe", "topics": []string{topic}}); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			t.Fatalf("%s: %v", topic, err)
		}
		for line := range bytes.SplitSeq(message, []byte{'\n'}) {
			var event struct {
				Type, Topic, Reason string
			}
			if err := json.Unmarshal(line, &event); err == nil && event.Type == "ERROR" && event.Topic == topic {
				t.Logf("%s: %s", kind, event.Reason)
				return
			}
		}
	}
}
