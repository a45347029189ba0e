// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"strings"
	"testing"
)

// TestParseImage verifies that an image reference requires a tag or a digest.
func TestParseImage(t *testing.T) {
	for reference, want := range map[string]Image{
		"kubevision:v1":                     {Repository: "kubevision", Tag: "v1"},
		"registry.example.com:5000/k:v1":    {Repository: "registry.example.com:5000/k", Tag: "v1"},
		"registry.example.com/k@sha256:abc": {Repository: "registry.example.com/k", Digest: "sha256:abc"},
		"kubevision":                        {},
		"kubevision:":                       {},
		"kubevision:latest":                 {},
		"registry.example.com:5000/k":       {},
		":v1":                               {},
	} {
		got, err := ParseImage(reference)
		if got != want || (err == nil) != (want.Repository != "") {
			t.Errorf("%q: %+v, %v", reference, got, err)
		}
	}
}

// TestRenderWith verifies that RenderWith sets the image of both Deployments. The image reference has a tag or a
// digest.
func TestRenderWith(t *testing.T) {
	for want, image := range map[string]Image{
		"image: registry.example.com/k:v9\n":         {Repository: "registry.example.com/k", Tag: "v9"},
		"image: registry.example.com/k@sha256:abc\n": {Repository: "registry.example.com/k", Digest: "sha256:abc"},
	} {
		out, err := RenderWith("../../../config/default", image)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(string(out), want); got != 2 {
			t.Errorf("%q is there %d times", want, got)
		}
	}
}
