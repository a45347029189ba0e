// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package filecopy copies files into and out of containers through WebSockets. Like kubectl cp, it runs tar in the
// container. It treats archives from clients and containers as malicious.
package filecopy

import (
	"net/http"
	"net/url"
	"path"
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
	// DefaultMaxBytes is the default limit of the bytes of a copy. Each file or directory in an archive counts as 512
	// additional bytes.
	DefaultMaxBytes = 1 << 30

	// idleTime is the time without progress after which a copy ends.
	idleTime = 5 * time.Minute
	// maxTime bounds the duration of a copy.
	maxTime = time.Hour
	// copyBytes is the number of bytes of memory that each copy reserves for the buffers of its connections and for the
	// headers of an archive.
	copyBytes = 512 << 10
	// maxPath bounds the bytes of a path in a container.
	maxPath = 4 << 10

	execSubresource = "exec"

	fromParameter   = "from"
	toParameter     = "to"
	formatParameter = "format"
	sizeParameter   = "size"
	formatFile      = "file"
	formatTar       = "tar"
)

// Provider provides the endpoint of this package.
type Provider struct {
	// Access connects callers to clusters.
	Access *authorization.Access
	// MaxBytes bounds the bytes of a copy.
	MaxBytes int64
	// Recordings records the user, the path and the size of each copy, but not its content. If it is nil, copies are
	// not recorded.
	Recordings *recording.Store
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	docs := podaccess.Docs()
	docs["container"] = "the name of the container; optional for a Pod with one container"
	docs[fromParameter] = "the absolute path in the container to copy from"
	docs[toParameter] = "the absolute path in the container to copy to"
	docs[formatParameter] = "file (the default) for one file, or tar for a directory as a tar archive"
	docs[sizeParameter] = "the number of bytes of a file that is copied into the container"
	return []routes.Route{{
		Method: http.MethodGet, Path: podaccess.Path + "/copy", Operation: "copyFiles", Verb: streams.VerbCopy,
		Doc:     "copy files into a container or out of it, through a WebSocket",
		Returns: dashboardv1alpha1.Envelope{}, Parameters: docs,
		Types: map[string]routes.Type{
			formatParameter: routes.OneOf(formatFile, formatTar), sizeParameter: routes.Integer(),
		},
		Endpoint: routes.Reviewed(p.review, p.open),
	}}
}

// request contains the validated parameters of a copy.
type request struct {
	*podaccess.Access

	// in is true for a copy into the container.
	in bool
	// path is a normalized absolute path in the container.
	path string
	// tar is true if the client sends or receives a tar archive. It is false if the client sends or receives the
	// content of one file.
	tar bool
	// size is the number of bytes of a file that is copied into the container.
	size int64
}

func (p *Provider) review(r *routes.Request, u user.Info) (*request, error) {
	access, err := podaccess.Find(r, u, p.Access, execSubresource)
	if err != nil {
		return nil, err
	}
	q := &request{Access: access}
	if err := q.parse(r.URL.Query(), p.MaxBytes); err != nil {
		return nil, err
	}
	return q, access.Review(r.Context())
}

func (q *request) parse(query url.Values, maxBytes int64) error {
	from, to := query.Get(fromParameter), query.Get(toParameter)
	if (from == "") == (to == "") {
		return envelope.Invalid(fromParameter, "either from or to must be the path in the container")
	}
	q.in = to != ""
	var err error
	if q.path, err = parsePath(from + to); err != nil {
		return err
	}
	switch query.Get(formatParameter) {
	case "", formatFile:
	case formatTar:
		q.tar = true
	default:
		return envelope.Invalid(formatParameter, "format must be %s or %s", formatFile, formatTar)
	}
	if !q.tar && q.path == "/" {
		return envelope.Invalid(fromParameter, "the path must be that of a file")
	}
	if q.in && !q.tar {
		if q.size, err = strconv.ParseInt(query.Get(sizeParameter), 10, 64); err != nil || q.size < 0 {
			return envelope.Invalid(sizeParameter, "size must be the number of bytes of the file")
		}
		if q.size > maxBytes {
			return envelope.Invalid(sizeParameter, "a copy must have at most %d bytes", maxBytes)
		}
	}
	q.Call.Query = url.Values{
		"stdin": {strconv.FormatBool(q.in)}, "stdout": {strconv.FormatBool(!q.in)}, "stderr": {"true"},
	}
	if container := query.Get("container"); container != "" {
		if err := routes.CheckLabel("container", container); err != nil {
			return err
		}
		q.Call.Query.Set("container", container)
	}
	return nil
}

// parsePath returns the normalized form of an absolute path. It returns an error if text is not absolute, is too long,
// or contains the segment "..", whose meaning depends on links in the container.
func parsePath(text string) (string, error) {
	if !strings.HasPrefix(text, "/") || len(text) > maxPath || strings.ContainsRune(text, 0) {
		return "", envelope.Invalid(fromParameter, "the path must be absolute, and have at most %d bytes", maxPath)
	}
	for segment := range strings.SplitSeq(text, "/") {
		if segment == ".." {
			return "", envelope.Invalid(fromParameter, "the path must not contain the segment ..")
		}
	}
	return path.Clean(text), nil
}

func (p *Provider) open(_ *routes.Request, q *request) (routes.Result, error) {
	c := newTransfer(q, p)
	return routes.Result{Stream: &streams.Handler{
		Check: q.Check, Depends: []streams.Cluster{q.Caller.Connection()},
		IdleTime: idleTime, MaxTime: maxTime, Began: c.begin, Last: c.last, Received: c.received, Serve: c.serve,
		Ended: c.ended,
	}}, nil
}
