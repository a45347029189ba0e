// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layer returns a layer with the files and their parent folders, all owned by root and sorted by path.
func layer(files []File, at time.Time) (v1.Layer, error) {
	archive, err := Archive(files, at)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }
	l, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("create a layer: %w", err)
	}
	return l, nil
}

// Archive returns a reproducible tar archive of the files and their parent folders.
func Archive(files []File, at time.Time) ([]byte, error) {
	all := withParents(files)
	slices.SortFunc(all, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for _, f := range all {
		header := &tar.Header{
			Name: strings.TrimPrefix(f.Path, "/"), Mode: f.Mode, Size: int64(len(f.Content)), ModTime: at,
			Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		}
		if strings.HasSuffix(f.Path, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := writer.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("archive %s: %w", f.Path, err)
		}
		if _, err := writer.Write(f.Content); err != nil {
			return nil, fmt.Errorf("archive %s: %w", f.Path, err)
		}
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("archive files: %w", err)
	}
	return out.Bytes(), nil
}

func withParents(files []File) []File {
	out := slices.Clone(files)
	present := map[string]bool{"/": true}
	for _, f := range files {
		present[f.Path] = true
	}
	for _, f := range files {
		for dir := path.Dir(strings.TrimSuffix(f.Path, "/")); !present[dir+"/"] && dir != "/"; dir = path.Dir(dir) {
			present[dir+"/"] = true
			out = append(out, File{Path: dir + "/", Mode: 0o755})
		}
	}
	return out
}
