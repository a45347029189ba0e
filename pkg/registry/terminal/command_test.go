// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/registry/podaccess"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

// TestCommands verifies that the words of a command are sent unchanged, and that their number is bounded.
func TestCommands(t *testing.T) {
	for name, test := range map[string]struct {
		in, want []string
		fails    bool
	}{
		"default":  {nil, shell(), false},
		"words":    {[]string{"sh", "-c", "echo $HOME; exit"}, []string{"sh", "-c", "echo $HOME; exit"}, false},
		"empty":    {[]string{""}, nil, true},
		"too many": {slices.Repeat([]string{"x"}, maxCommand+1), nil, true},
		"too long": {[]string{strings.Repeat("x", maxCommandBytes+1)}, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := &request{Access: &podaccess.Access{Call: clusters.Call{Subresource: streams.VerbExec}}}
			err := r.parse(url.Values{"command": test.in})
			if (err != nil) != test.fails || !test.fails && !slices.Equal(r.Call.Query["command"], test.want) {
				t.Errorf("the command is %q (%v)", r.Call.Query["command"], err)
			}
		})
	}
}

// TestStreamsOfACommand verifies that a terminal has no separate error stream, because API servers reject it.
func TestStreamsOfACommand(t *testing.T) {
	for tty, want := range map[string]string{"true": "false", "false": "true"} {
		r := &request{Access: &podaccess.Access{Call: clusters.Call{Subresource: streams.VerbExec}}}
		if err := r.parse(url.Values{"tty": {tty}}); err != nil || r.Call.Query.Get("stderr") != want {
			t.Errorf("tty=%s: %v (%v)", tty, r.Call.Query, err)
		}
	}
}

// TestTimesOfATerminal verifies that the time limits of a terminal equal the limits that the client receives.
func TestTimesOfATerminal(t *testing.T) {
	p := &Provider{IdleTime: time.Minute, MaxTime: time.Hour}
	s := newSession(&request{Access: &podaccess.Access{Caller: &clusters.Client{}}}, p)
	h, told := s.handler(), s.limits()
	if h.IdleTime != p.IdleTime || h.MaxTime != p.MaxTime {
		t.Errorf("the limits are %s and %s", h.IdleTime, h.MaxTime)
	}
	if told.IdleSeconds != 60 || told.MaxSeconds != 60*60 {
		t.Errorf("the client is told %+v", told)
	}
}
