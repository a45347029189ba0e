// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDockerfile verifies that the Dockerfile specifies the same configuration and files as the image of a release.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	dockerfile := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "\\\n", " ")), " ")
	image, err := build(t, "amd64").ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"USER " + image.Config.User + " ",
		"ENV " + strings.Join(image.Config.Env, " ") + " ",
		`ENTRYPOINT ["` + strings.Join(image.Config.Entrypoint, `", "`) + `"]`,
		// The flags are the flags of build.go.
		`CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags "-s -w $LDFLAGS"`,
		// This is the complete content of the image.
		"FROM scratch COPY --from=build /rootfs/ / COPY --from=build /out/ " + programsFolder + "/ ENV ",
	} {
		if !strings.Contains(dockerfile, want) {
			t.Errorf("the Dockerfile lacks %s", want)
		}
	}
}

// TestWriteFiles verifies that WriteFiles and Archive write the same files, with the same modes and contents.
func TestWriteFiles(t *testing.T) {
	files := []File{
		{Path: "/etc/passwd", Mode: 0o644, Content: []byte("root")}, {Path: "/tmp/", Mode: 0o1777},
		{Path: "/usr/share/zoneinfo/UTC", Mode: 0o644, Content: []byte("zone")},
		{Path: "/usr/local/bin/program", Mode: 0o755, Content: []byte("program")},
	}
	archive, err := Archive(files, source().Time)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := WriteFiles(folder, files); err != nil {
		t.Fatal(err)
	}
	written := 0
	if err := filepath.WalkDir(folder, func(string, os.DirEntry, error) error { written++; return nil }); err != nil {
		t.Fatal(err)
	}
	reader, archived := tar.NewReader(bytes.NewReader(archive)), 0
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		archived++
		path := filepath.Join(folder, header.Name) //nolint:gosec // the test has made the archive
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != header.FileInfo().Mode() {
			t.Errorf("%s has the mode %s, and in the layer %s", header.Name, info.Mode(), header.FileInfo().Mode())
		}
		if info.IsDir() {
			continue
		}
		want, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has the content %q, and in the layer %q: %v", header.Name, got, want, err)
		}
	}
	if written != archived+1 { // the directory itself is archived, too
		t.Errorf("%d files and folders were written, and the layer has %d", written-1, archived)
	}
}
