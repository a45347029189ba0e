// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package image parses the names of container images. It does not contact image registries, because the server connects
// only to clusters.
package image

import (
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	queryImage = "image"

	// defaultRegistry is the registry that container runtimes use if the name of an image contains no registry.
	defaultRegistry = "docker.io"
	// defaultNamespace is the namespace that container runtimes use on defaultRegistry if the name of an image contains
	// no namespace.
	defaultNamespace = "library"
)

// Provider provides the endpoints of this package. It has no dependencies.
type Provider struct{}

// Routes implements routes.Provider.
func (*Provider) Routes() []routes.Route {
	return []routes.Route{{
		Method: http.MethodGet, Path: "/registry-tags", Operation: "listImageTags",
		Doc:     "parse the name of an image; its tags are not looked up",
		Returns: dashboardv1alpha1.RegistryTagsEnvelope{},
		Parameters: map[string]string{queryImage: "the name of the image",
			"limit": "ignored, because tags are not looked up"},
		Endpoint: routes.Self(tags),
	}}
}

func tags(r *routes.Request, _ user.Info) (routes.Result, error) {
	name := strings.TrimSpace(r.Query(queryImage))
	if name == "" {
		return routes.Result{}, envelope.Required(queryImage)
	}
	return routes.Result{Data: dashboardv1alpha1.RegistryTags{Reference: parse(name), Tags: []string{}}}, nil
}

// parse splits a name of the form [registry/]repository[:tag][@digest]. It accepts any text, because the user may still
// be typing.
func parse(name string) dashboardv1alpha1.ImageReference {
	var out dashboardv1alpha1.ImageReference
	name, out.Digest, _ = strings.Cut(name, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name, out.Tag = name[:colon], name[colon+1:]
	}
	first, rest, found := strings.Cut(name, "/")
	switch {
	case found && (strings.ContainsAny(first, ".:") || first == "localhost"):
		out.Registry, out.Repository = first, rest
	case found:
		out.Registry, out.Repository = defaultRegistry, name
	default:
		out.Registry, out.Repository = defaultRegistry, defaultNamespace+"/"+name
	}
	return out
}
