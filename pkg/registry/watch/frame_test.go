// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/kubevision-io/kubevision/pkg/readcache"
)

type receivedEvent struct {
	Type      string          `json:"type"`
	ClusterID string          `json:"clusterId"`
	Resource  string          `json:"resource"`
	Namespace string          `json:"namespace"`
	Name      string          `json:"name"`
	Object    *receivedObject `json:"object,omitempty"`
}

type receivedObject struct {
	Metadata receivedMeta `json:"metadata"`
}

type receivedMeta struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace,omitempty"`
	ResourceVersion   string            `json:"resourceVersion"`
	CreationTimestamp string            `json:"creationTimestamp,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
}

// FuzzAppendEvent verifies that each event is one line, and that a client decodes the strings in it unchanged.
func FuzzAppendEvent(f *testing.F) {
	f.Add("web-0", "shop", "app", "web", int64(1_700_000_000))
	f.Add("", "", "", "", int64(0))
	f.Add("a\"b\\c", "\n\r\x00", "<&>", "\u2028é", int64(1))
	f.Fuzz(func(t *testing.T, name, namespace, key, value string, created int64) {
		for _, text := range []string{name, namespace, key, value} {
			if !utf8.ValidString(text) {
				t.Skip("the read cache refuses texts that are not UTF-8")
			}
		}
		created &= 1<<32 - 1
		o := &readcache.Object{Name: name, Namespace: namespace, ResourceVersion: "7", Created: created,
			Labels: readcache.Labels{{Key: key, Value: value}}}
		followed := &topic{topicName: topicName{cluster: value, resource: key}, summary: true}
		message := followed.appendEvent(nil, event{kind: modified, namespace: namespace, name: name, object: o})
		if bytes.ContainsAny(message, "\n\r") {
			t.Errorf("the event has several lines: %q", message)
		}
		var got receivedEvent
		if err := json.Unmarshal(message, &got); err != nil {
			t.Fatalf("%v: %s", err, message)
		}
		want := receivedEvent{Type: modified, ClusterID: value, Resource: key, Namespace: namespace, Name: name,
			Object: &receivedObject{receivedMeta{Name: name, Namespace: namespace, ResourceVersion: "7",
				Labels: map[string]string{key: value}}}}
		if created != 0 {
			want.Object.Metadata.CreationTimestamp = got.Object.Metadata.CreationTimestamp
			if len(got.Object.Metadata.CreationTimestamp) != len("2006-01-02T15:04:05Z") {
				t.Errorf("the creation time is %q", got.Object.Metadata.CreationTimestamp)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	o := &readcache.Object{Name: "web-0", Namespace: "shop", ResourceVersion: "712345", Created: 1_700_000_000,
		Labels: readcache.Labels{{Key: "app", Value: "web"}, {Key: "tier", Value: "front"}},
		JSON:   bytes.Repeat([]byte("x"), 4<<10)}
	for name, summary := range map[string]bool{"summary": true, "object": false} {
		b.Run(name, func(b *testing.B) {
			followed := &topic{topicName: topicName{cluster: "local", resource: "pods"}, summary: summary}
			var message []byte
			for b.Loop() {
				message = followed.appendEvent(message[:0],
					event{kind: modified, namespace: o.Namespace, name: o.Name, object: o})
			}
		})
	}
}
