// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package node

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// importShell creates the container image ShellImage from a static busybox, and imports the image into containerd.
// containerd also uses the image for the pause containers of Pods.
func (n *Node) importShell(ctx context.Context) error {
	shell, err := os.ReadFile(Shell(n.assets))
	if err != nil {
		return fmt.Errorf("read the shell: %w", err)
	}
	archive, err := shellArchive(shell)
	if err != nil {
		return err
	}
	path := filepath.Join(n.dir, "shell.tar")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	return n.Import(ctx, path)
}

// shellArchive returns a container image with the given shell program, as an archive in the format of "docker save".
func shellArchive(shell []byte) ([]byte, error) {
	files := []tar.Header{
		{Typeflag: tar.TypeDir, Name: "bin/", Mode: 0o755},
		{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777},
		{Typeflag: tar.TypeReg, Name: "bin/busybox", Mode: 0o755, Size: int64(len(shell))},
	}
	for _, command := range []string{
		"sh", "cat", "echo", "head", "ls", "mv", "rm", "seq", "sha256sum", "sleep", "stty", "tar", "yes",
	} {
		files = append(files, tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + command, Linkname: "busybox"})
	}
	layer, err := archive(files, map[string][]byte{"bin/busybox": shell})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(layer)
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		// The pause containers of Pods run the command sleep.
		"config": map[string]any{"Env": []string{"PATH=/bin"}, "Cmd": []string{"/bin/sleep", "1000000"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the image: %w", err)
	}
	manifest, err := json.Marshal([]map[string]any{
		{"Config": "config.json", "RepoTags": []string{ShellImage}, "Layers": []string{"layer.tar"}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode the image: %w", err)
	}
	contents := map[string][]byte{"config.json": config, "layer.tar": layer, "manifest.json": manifest}
	headers := make([]tar.Header, 0, len(contents))
	for _, name := range []string{"manifest.json", "config.json", "layer.tar"} {
		headers = append(headers,
			tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(contents[name]))})
	}
	return archive(headers, contents)
}

func archive(headers []tar.Header, contents map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for i := range headers {
		if err := writer.WriteHeader(&headers[i]); err != nil {
			return nil, fmt.Errorf("write an archive: %w", err)
		}
		if _, err := writer.Write(contents[headers[i].Name]); err != nil {
			return nil, fmt.Errorf("write an archive: %w", err)
		}
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("write an archive: %w", err)
	}
	return out.Bytes(), nil
}
