// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package terminal runs commands in containers, attaches to containers and opens shells on nodes, through WebSockets.
// It also adds debug containers to Pods, and records terminals if recordings are enabled.
package terminal

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/recording"
	"github.com/kubevision-io/kubevision/pkg/registry/podaccess"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

const (
	// DefaultIdleTime is the default time without input and output after which a terminal ends.
	DefaultIdleTime = 30 * time.Minute
	// DefaultMaxTime is the default of the longest duration of a terminal.
	DefaultMaxTime = 8 * time.Hour

	// maxCommand bounds the number of words of a command.
	maxCommand = 64
	// maxCommandBytes bounds the length of a command, in bytes.
	maxCommandBytes = 8 << 10
	// terminalBytes is the number of bytes of memory that each terminal reserves for the buffers of the connections to
	// the cluster and the client.
	terminalBytes = 256 << 10
)

// shell returns the command that runs bash, or sh if the container has no bash.
func shell() []string {
	return []string{"sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash || exec sh"}
}

// Provider provides the endpoints of this package.
type Provider struct {
	// Access connects callers to clusters.
	Access *authorization.Access
	// IdleTime is the time without input and output after which a terminal ends.
	IdleTime time.Duration
	// MaxTime is the longest duration of a terminal.
	MaxTime time.Duration
	// DebugImage is the default image of debug containers.
	DebugImage string
	// Recordings stores the recordings of terminals. If it is nil, terminals are not recorded.
	Recordings *recording.Store
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	route := func(verb, doc string) routes.Route {
		return routes.Route{
			Method: http.MethodGet, Path: podaccess.Path + "/" + verb, Operation: verb + "Pod", Verb: verb, Doc: doc,
			Returns:    dashboardv1alpha1.Envelope{},
			Parameters: parameters(),
			Types: map[string]routes.Type{
				"stdin": routes.Boolean(), "tty": routes.Boolean(), "binary": routes.Boolean(),
			},
			Endpoint: routes.Reviewed(p.review(verb), p.open),
		}
	}
	run := route(streams.VerbExec, "run a command in a container of a Pod, through a WebSocket")
	run.Parameters["command"] = "a word of the command; may be repeated; the default is a shell"
	attach := route(streams.VerbAttach, "attach to the main process of a container of a Pod, through a WebSocket")
	return []routes.Route{run, attach, p.debugRoute(), p.nodeRoute()}
}

func parameters() map[string]string {
	docs := podaccess.Docs()
	docs["container"] = "the name of the container; optional for a Pod with one container"
	docs["stdin"] = "send input; true by default"
	docs["tty"] = "open a terminal; true by default"
	docs["binary"] = "send and receive binary messages, whose first byte is 0 for input, 1 for output and 2 for errors"
	return docs
}

// request contains the validated parameters of a terminal.
type request struct {
	*podaccess.Access

	// verb is the kind of stream, for example exec. The recording of the terminal contains this value.
	verb string
	// nodeShell is nil if the terminal is not a shell on a node.
	nodeShell *nodeShell

	stdin, tty, binary bool
}

func (p *Provider) review(verb string) func(r *routes.Request, u user.Info) (*request, error) {
	return func(r *routes.Request, u user.Info) (*request, error) {
		access, err := podaccess.Find(r, u, p.Access, verb)
		if err != nil {
			return nil, err
		}
		t := &request{Access: access, verb: verb}
		if err := t.parse(r.URL.Query()); err != nil {
			return nil, err
		}
		return t, access.Review(r.Context())
	}
}

func (t *request) parse(query url.Values) error {
	t.stdin, t.tty = true, true
	for name, into := range map[string]*bool{"stdin": &t.stdin, "tty": &t.tty, "binary": &t.binary} {
		value, err := routes.ParseBool(query, name, *into)
		if err != nil {
			return err
		}
		*into = value
	}
	t.Call.Query = url.Values{
		"stdin": {strconv.FormatBool(t.stdin)}, "stdout": {"true"},
		"stderr": {strconv.FormatBool(!t.tty)}, "tty": {strconv.FormatBool(t.tty)},
	}
	if container := query.Get("container"); container != "" {
		if err := routes.CheckLabel("container", container); err != nil {
			return err
		}
		t.Call.Query.Set("container", container)
	}
	if t.Call.Subresource != streams.VerbExec {
		return nil
	}
	command := query["command"]
	if len(command) == 0 {
		command = shell()
	}
	if len(command) > maxCommand || len(strings.Join(command, " ")) > maxCommandBytes || command[0] == "" {
		return envelope.Invalid("command", "the command is empty, or too long")
	}
	t.Call.Query["command"] = slices.Clone(command)
	return nil
}

func (p *Provider) open(r *routes.Request, t *request) (routes.Result, error) {
	if err := p.checkRecordings(r.Context()); err != nil {
		return routes.Result{}, err
	}
	return routes.Result{Stream: newSession(t, p).handler()}, nil
}
