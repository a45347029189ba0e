// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"testing"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
)

func TestParse(t *testing.T) {
	for name, want := range map[string]dashboardv1alpha1.ImageReference{
		"nginx":                      {Registry: "docker.io", Repository: "library/nginx"},
		"nginx:1.29":                 {Registry: "docker.io", Repository: "library/nginx", Tag: "1.29"},
		"bitnami/redis":              {Registry: "docker.io", Repository: "bitnami/redis"},
		"ghcr.io/a/b/c:v1":           {Registry: "ghcr.io", Repository: "a/b/c", Tag: "v1"},
		"localhost/a":                {Registry: "localhost", Repository: "a"},
		"localhost:5000/a":           {Registry: "localhost:5000", Repository: "a"},
		"quay.io/a@sha256:00":        {Registry: "quay.io", Repository: "a", Digest: "sha256:00"},
		"quay.io:443/a:b@sha256:00":  {Registry: "quay.io:443", Repository: "a", Tag: "b", Digest: "sha256:00"},
		"nginx:":                     {Registry: "docker.io", Repository: "library/nginx"},
		"registry.example.com/":      {Registry: "registry.example.com"},
		"registry.example.com:80/:x": {Registry: "registry.example.com:80", Tag: "x"},
	} {
		if got := parse(name); got != want {
			t.Errorf("%q is %+v, want %+v", name, got, want)
		}
	}
}
