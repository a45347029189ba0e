// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package image builds the container image of the programs without a container runtime. The files of the image come
// only from the toolchain and from pinned modules. Therefore, the same source results in the same image on every
// machine.
package image

import (
	"archive/zip"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// User is the user and the group that the programs run as.
const User = "65532:65532"

// File is a file or a folder of the image.
type File struct {
	// Path is the absolute path. The path of a folder ends with a slash.
	Path    string
	Mode    int64
	Content []byte
}

// BaseFiles returns the files other than the programs: certificates, time zones and accounts. They include no shell and
// no package manager. goroot is the folder of the toolchain, which contains the time zones.
func BaseFiles(goroot string) ([]File, error) {
	zones, err := timeZones(filepath.Join(goroot, "lib", "time", "zoneinfo.zip"))
	if err != nil {
		return nil, err
	}
	return append([]File{
		{Path: "/etc/passwd", Mode: 0o644, Content: []byte("root:x:0:0:root:/root:/sbin/nologin\n" +
			"nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")},
		{Path: "/etc/group", Mode: 0o644, Content: []byte("root:x:0:\nnonroot:x:65532:\n")},
		{Path: "/etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Content: certificates()},
		{Path: "/tmp/", Mode: 0o1777},
	}, zones...), nil
}

// certificates returns the CA certificates that Mozilla trusts. It omits CAs that are trusted only for certificates
// issued before some date, because a file of certificates cannot express this restriction.
func certificates() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			// writing to a Buffer never fails
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return out.Bytes()
}

func timeZones(archive string) ([]File, error) {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return nil, fmt.Errorf("open the time zones: %w", err)
	}
	defer func() { _ = reader.Close() }()
	var out []File
	for _, entry := range reader.File {
		if strings.HasSuffix(entry.Name, "/") {
			continue
		}
		content, err := contentOf(entry)
		if err != nil {
			return nil, err
		}
		zone := path.Join("/usr/share/zoneinfo", entry.Name) //nolint:gosec // an archive of the Go toolchain
		out = append(out, File{Path: zone, Mode: 0o644, Content: content})
	}
	return out, nil
}

func contentOf(entry *zip.File) ([]byte, error) {
	file, err := entry.Open()
	if err != nil {
		return nil, fmt.Errorf("open the time zone %s: %w", entry.Name, err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("read the time zone %s: %w", entry.Name, err)
	}
	return content, nil
}

// WriteFiles writes files below a folder.
func WriteFiles(folder string, files []File) error {
	for _, f := range withParents(files) {
		path := filepath.Join(folder, filepath.FromSlash(f.Path))
		if strings.HasSuffix(f.Path, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil { //nolint:gosec // as in the image
				return fmt.Errorf("make %s: %w", path, err)
			}
			if err := os.Chmod(path, modeOf(f)); err != nil {
				return fmt.Errorf("set the mode of %s: %w", path, err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as in the image
			return fmt.Errorf("create the folder of %s: %w", path, err)
		}
		if err := os.WriteFile(path, f.Content, modeOf(f)); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

func modeOf(f File) fs.FileMode {
	mode := fs.FileMode(f.Mode & 0o777)
	if f.Mode&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}
