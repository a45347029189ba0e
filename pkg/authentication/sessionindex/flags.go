// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package sessionindex

import (
	"errors"

	"github.com/spf13/pflag"
)

// AddFlags adds a flag for each limit to fs. The default of a flag is the current value of the limit.
func (l *Limits) AddFlags(fs *pflag.FlagSet) {
	fs.IntVar(&l.PerUser, "sessions-per-user", l.PerUser,
		"Maximum number of sessions of a user. Beyond it, the least recently used session ends. Set the flag on both "+
			"programs.")
	fs.IntVar(&l.Total, "sessions", l.Total,
		"Maximum number of sessions of all users. Beyond it, the least recently used session of the user with the "+
			"most sessions ends. Set the flag on both programs.")
}

// Validate returns an error if a limit is less than 1.
func (l *Limits) Validate() error {
	if l.PerUser < 1 || l.Total < 1 {
		return errors.New("--sessions-per-user and --sessions must be at least 1")
	}
	return nil
}
