// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package containerlogs

import (
	"net/url"
	"strconv"
	"time"

	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// maxTail bounds the number of lines that a client can request from the end of a log. Larger numbers in requests are
// reduced to maxTail.
const maxTail = 100_000

// options are the query parameters that select a part of a log and the format of the response.
type options struct {
	container                    string
	follow, previous, timestamps bool
	// compressed is true if the response is a gzip file. It has no effect on WebSockets.
	compressed bool
	// tail is the number of lines to request from the end of the log, or -1 for all lines.
	tail int64
	// since is the minimum time of a line. Older lines are omitted. If since is zero, the log is read from the
	// beginning.
	since time.Time
}

// optionParameters returns the documentation and the types of the query parameters that parseOptions reads.
func optionParameters() (docs map[string]string, types map[string]routes.Type) {
	return map[string]string{
			"container": "the name of the container; optional for a Pod with one container, and for several Pods, " +
				"where the default is all containers",
			"follow":       "follow the log, also across restarts of the container",
			"previous":     "return the log from before the last restart of the container",
			"timestamps":   "prefix each line with its time",
			"tailLines":    "the number of lines from the end of the log to return",
			"sinceSeconds": "the maximum age of the returned lines, in seconds",
			"sinceTime":    "the time of the oldest line to return, in RFC 3339",
		}, map[string]routes.Type{
			"follow": routes.Boolean(), "previous": routes.Boolean(), "timestamps": routes.Boolean(),
			"tailLines": routes.Integer(), "sinceSeconds": routes.Integer(),
		}
}

func parseOptions(r *routes.Request, now time.Time) (options, error) {
	query := r.URL.Query()
	o := options{container: query.Get("container"), tail: -1}
	if o.container != "" {
		if err := routes.CheckLabel("container", o.container); err != nil {
			return o, err
		}
	}
	for name, into := range map[string]*bool{
		"follow": &o.follow, "previous": &o.previous, "timestamps": &o.timestamps,
		gzipParameter: &o.compressed,
	} {
		value, err := routes.ParseBool(query, name, false)
		if err != nil {
			return o, err
		}
		*into = value
	}
	if text := query.Get("tailLines"); text != "" {
		lines, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return o, envelope.Invalid("tailLines", "tailLines must be a non-negative integer")
		}
		o.tail = int64(min(lines, maxTail))
	}
	if err := o.parseSince(query, now); err != nil {
		return o, err
	}
	if o.previous && o.follow {
		return o, envelope.Invalid("previous", "the log of a container that has ended cannot be followed")
	}
	return o, nil
}

func (o *options) parseSince(query url.Values, now time.Time) error {
	if text := query.Get("sinceSeconds"); text != "" {
		const longest = 100 * 365 * 24 * 60 * 60
		seconds, err := strconv.ParseUint(text, 10, 63)
		if err != nil || seconds == 0 {
			return envelope.Invalid("sinceSeconds", "sinceSeconds must be a positive integer")
		}
		o.since = now.Add(-time.Duration(min(seconds, longest)) * time.Second)
	}
	if text := query.Get("sinceTime"); text != "" {
		since, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return envelope.Invalid("sinceTime", "sinceTime must be a time in RFC 3339")
		}
		o.since = since
	}
	return nil
}
