// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"encoding/json"
	"time"

	"k8s.io/klog/v2"

	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// frame is an event as clients read it. The object is appended behind it.
type frame struct {
	Type      string `json:"type"`
	ClusterID string `json:"clusterId"`
	Resource  string `json:"resource"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// notice is about a topic: a bookmark, or an error, after which the topic sends no more.
type notice struct {
	Type      string `json:"type"`
	Topic     string `json:"topic"`
	ClusterID string `json:"clusterId,omitempty"`
	Resource  string `json:"resource,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	// Bookmark is a place to resume from.
	Bookmark string `json:"bookmark,omitempty"`
	// Initial is true for the first bookmark after the objects that were there already.
	Initial bool `json:"initial,omitempty"`
	// Partial is true if the caller may not list all namespaces. Namespaces are then those that the caller may.
	Partial    bool     `json:"partial,omitempty"`
	Namespaces []string `json:"namespaces,omitempty"`
	// Reason is why the topic has ended, for programs: expired, forbidden, cluster-gone, not-cached, invalid, limit.
	Reason string `json:"reason,omitempty"`
	// Code is that of the envelope which the same list would have.
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// summary is sent instead of an object.
type summary struct {
	Metadata summaryMeta `json:"metadata"`
}

type summaryMeta struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace,omitempty"`
	ResourceVersion   string            `json:"resourceVersion"`
	CreationTimestamp string            `json:"creationTimestamp,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
}

// appendEvent appends an event of a topic. Events of a message are separated by a line feed.
func (t *topic) appendEvent(out []byte, e event) []byte {
	head := encode(frame{Type: e.kind, ClusterID: t.cluster, Resource: t.resource, Namespace: e.namespace,
		Name: e.name})
	if len(out) > 0 {
		out = append(out, '\n')
	}
	if e.object == nil {
		return append(out, head...)
	}
	out = append(append(out, head[:len(head)-1]...), `,"object":`...)
	if t.summary {
		out = append(out, summarize(e.object)...)
	} else {
		out = appendLine(out, e.object.JSON)
	}
	return append(out, '}')
}

// appendLine appends JSON in one line. Line feeds are white space between its tokens, since texts have none; they would
// let a cluster write events of other clusters.
func appendLine(out, text []byte) []byte {
	begin := len(out)
	out = append(out, text...)
	for i := begin; i < len(out); i++ {
		if out[i] == '\n' || out[i] == '\r' {
			out[i] = ' '
		}
	}
	return out
}

// sizeOf returns about how many bytes an event has in a message.
func (t *topic) sizeOf(e event) int64 {
	const frameBytes = 256
	size := frameBytes + len(t.cluster) + len(t.resource) + 2*(len(e.namespace)+len(e.name))
	switch {
	case e.object == nil:
	case t.summary:
		for _, l := range e.object.Labels {
			size += len(l.Key) + len(l.Value) + frameBytes/8
		}
	default:
		size += len(e.object.JSON)
	}
	return int64(size)
}

func summarize(o *readcache.Object) []byte {
	meta := summaryMeta{Name: o.Name, Namespace: o.Namespace, ResourceVersion: o.ResourceVersion}
	if o.Created != 0 {
		meta.CreationTimestamp = time.Unix(o.Created, 0).UTC().Format(time.RFC3339)
	}
	for _, label := range o.Labels {
		if meta.Labels == nil {
			meta.Labels = make(map[string]string, len(o.Labels))
		}
		meta.Labels[label.Key] = label.Value
	}
	return encode(summary{Metadata: meta})
}

func encode(value any) []byte {
	out, err := json.Marshal(value)
	if err != nil { // cannot happen: texts, numbers and lists of them have a JSON form
		klog.Background().Error(err, "Encoding a message of a watch")
		return []byte("{}")
	}
	return out
}
