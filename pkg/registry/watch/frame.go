// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"bytes"
	"encoding/json"
	"time"

	"k8s.io/klog/v2"

	"github.com/kubevision-io/kubevision/pkg/readcache"
)

// notice is a message about a topic: a bookmark, or the error with which the topic ends.
type notice struct {
	Type      string `json:"type"`
	Topic     string `json:"topic"`
	ClusterID string `json:"clusterId,omitempty"`
	Resource  string `json:"resource,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	// Bookmark is the text with which a client can resume the topic.
	Bookmark string `json:"bookmark,omitempty"`
	// Initial is true for the bookmark after the initial objects.
	Initial bool `json:"initial,omitempty"`
	// Partial is true if the caller may list only some of the objects.
	Partial bool `json:"partial,omitempty"`
	// Namespaces contains the namespaces to which the caller has access, if Partial is true.
	Namespaces []string `json:"namespaces,omitempty"`
	// Reason is the machine-readable reason of an error: expired, forbidden, cluster-gone, not-cached, invalid, limit
	// or failed.
	Reason string `json:"reason,omitempty"`
	// Code is the code of an error. It has the same values as envelope.Error.Code.
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// appendEvent appends e to out as JSON. If out already contains events, it first appends a line feed. It avoids
// reflection, because an event may be encoded for many clients.
func (t *topic) appendEvent(out []byte, e event) []byte {
	if len(out) > 0 {
		out = append(out, '\n')
	}
	out = appendField(out, `{"type":`, e.kind)
	out = appendField(out, `,"clusterId":`, t.cluster)
	out = appendField(out, `,"resource":`, t.resource)
	out = appendField(out, `,"namespace":`, e.namespace)
	out = appendField(out, `,"name":`, e.name)
	if e.object == nil {
		return append(out, '}')
	}
	out = append(out, `,"object":`...)
	if t.summary {
		out = appendSummary(out, e.object)
	} else {
		out = appendLine(out, e.object.JSON)
	}
	return append(out, '}')
}

// appendSummary appends only the metadata of o.
func appendSummary(out []byte, o *readcache.Object) []byte {
	out = appendField(out, `{"metadata":{"name":`, o.Name)
	if o.Namespace != "" {
		out = appendField(out, `,"namespace":`, o.Namespace)
	}
	out = appendField(out, `,"resourceVersion":`, o.ResourceVersion)
	if o.Created != 0 {
		out = append(out, `,"creationTimestamp":"`...)
		out = append(time.Unix(o.Created, 0).UTC().AppendFormat(out, time.RFC3339), '"')
	}
	for i, label := range o.Labels {
		if i == 0 {
			out = append(out, `,"labels":{`...)
		} else {
			out = append(out, ',')
		}
		out = appendText(out, label.Key)
		out = appendField(out, `:`, label.Value)
	}
	if len(o.Labels) > 0 {
		out = append(out, '}')
	}
	return append(out, `}}`...)
}

func appendField(out []byte, head, value string) []byte {
	return appendText(append(out, head...), value)
}

// appendText appends text as a JSON string. It calls json.Marshal, which is slower, only for text with special
// characters.
func appendText(out []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return append(out, encode(text)...)
		}
	}
	return append(append(append(out, '"'), text...), '"')
}

// appendLine appends text, which is JSON, and replaces line feeds and carriage returns with spaces. Line feeds separate
// events. Without the replacement, a cluster could forge events of other clusters.
func appendLine(out, text []byte) []byte {
	begin := len(out)
	out = append(out, text...)
	for _, end := range []byte("\n\r") {
		line := out[begin:]
		for at := bytes.IndexByte(line, end); at >= 0; at = bytes.IndexByte(line, end) {
			line[at] = ' '
			line = line[at+1:]
		}
	}
	return out
}

// sizeOf returns the approximate number of bytes of e in a message.
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

func encode(value any) []byte {
	out, err := json.Marshal(value)
	if err != nil { // Impossible, because a notice contains only strings, numbers and lists.
		klog.Background().Error(err, "Failed to encode a message of a watch")
		return []byte("{}")
	}
	return out
}
