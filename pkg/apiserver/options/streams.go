// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/kubevision-io/kubevision/pkg/streams"
)

// minStreamBytes is the minimum of --stream-bytes.
const minStreamBytes = 4 << 20

// StreamOptions contains the flags for streams.
type StreamOptions struct {
	// AllowedOrigins lists the web origins whose pages may open streams. If it is empty, only pages of the server's own
	// origin may open streams.
	AllowedOrigins []string
	// PerUser bounds the number of open streams of one user.
	PerUser int
	// Total bounds the number of open streams of all users together.
	Total int
	// Bytes bounds the memory of all streams, in bytes.
	Bytes int64
	// WatchTokenInQuery is true if the watch endpoint accepts an access token in the query.
	WatchTokenInQuery bool
}

func newStreamOptions() StreamOptions {
	return StreamOptions{PerUser: streams.DefaultPerUser, Total: streams.DefaultTotal, Bytes: streams.DefaultBytes}
}

func (o *StreamOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&o.AllowedOrigins, "allowed-origins", nil,
		"Origins (https://dashboard.example.com) whose pages may open streams. The default is the same origin.")
	fs.BoolVar(&o.WatchTokenInQuery, "watch-token-in-query", o.WatchTokenInQuery,
		"Accept an access token in the query (?token=) of the watch. Use it for dashboards that cannot get tickets. "+
			"Proxies in front of this server may log URLs.")
	fs.IntVar(&o.PerUser, "streams-per-user", o.PerUser,
		"Maximum number of open streams (watches, logs, terminals) of one user on this replica.")
	fs.IntVar(&o.Total, "streams", o.Total, "Maximum number of open streams of all users on this replica.")
	fs.Int64Var(&o.Bytes, "stream-bytes", o.Bytes,
		"Maximum number of bytes of streams in memory on this replica. One user may use half of the free bytes.")
}

func (o *StreamOptions) validate() []error {
	var errs []error
	if o.PerUser < 1 || o.Total < 1 {
		errs = append(errs, errors.New("--streams-per-user and --streams must be at least 1"))
	}
	if o.Bytes < minStreamBytes {
		errs = append(errs, fmt.Errorf("--stream-bytes must be at least %d", minStreamBytes))
	}
	if _, err := streams.ParseOrigins(o.AllowedOrigins); err != nil {
		errs = append(errs, fmt.Errorf("--allowed-origins: %w", err))
	}
	return errs
}

func (o *StreamOptions) options() (streams.Options, error) {
	origins, err := streams.ParseOrigins(o.AllowedOrigins)
	if err != nil {
		return streams.Options{}, fmt.Errorf("--allowed-origins: %w", err)
	}
	return streams.Options{Origins: origins, PerUser: o.PerUser, Total: o.Total, Bytes: o.Bytes}, nil
}
