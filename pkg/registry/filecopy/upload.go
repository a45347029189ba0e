// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filecopy

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"k8s.io/client-go/tools/remotecommand"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

const (
	// newFileMode is the mode of a single file that is copied into a container.
	newFileMode = 0o644
	// removalTime bounds the time in which the command in the container can remove the incomplete file of a failed
	// copy.
	removalTime = 10 * time.Second
	// temporaryPrefix is the prefix of the name of a file while it is being copied into a container.
	temporaryPrefix = ".kubevision-"
	// completeSuffix ends the name of the marker file that follows a single copied file in the tar archive. The marker
	// file proves that tar has extracted the whole copied file.
	completeSuffix = ".complete" // extractFileScript contains the same text
)

func outCommand(q *request) []string {
	// No shell parses q.path. tar cannot interpret the path as an option, because it begins with "/" or "./".
	if !q.tar {
		// The option -h follows symbolic links, because the files of a ConfigMap volume are symbolic links.
		return []string{"tar", "-c", "-h", "-f", "-", "-C", path.Dir(q.path), "./" + path.Base(q.path)}
	}
	return []string{"tar", "-c", "-f", "-", "-C", q.path, "."}
}

const extractFileScript = `cd "$1" || exit 1
if [ -d "./$3" ]; then echo "the path is a directory" >&2; exit 1; fi
tar -x -m -o -f - && [ -f "./$2.complete" ] && rm -f "./$2.complete" && mv -f "./$2" "./$3" && exit 0
rm -f "./$2" "./$2.complete"
exit 1`

// copyIn runs a command in the container, and sends the content from the client to the standard input of the command.
// The command writes the content to files. copyIn returns after the command has exited and the input was sent.
func (t *transfer) copyIn(ctx context.Context, stream *streams.Stream) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	directory, name := path.Split(t.request.path)
	temporary := temporaryPrefix + rand.Text()
	// The script replaces an existing file only after the new file is complete.
	command := []string{"sh", "-c", extractFileScript, "sh", directory, temporary, name}
	if t.request.tar {
		command = []string{"tar", "-x", "-m", "-o", "-f", "-", "-C", t.request.path}
	}
	read, write := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		archive := tar.NewWriter(&counter{transfer: t, stream: stream, to: write})
		err := fanout.Safely(ctx, func() error {
			if t.request.tar {
				return t.passEntries(archive)
			}
			return t.passFile(archive, temporary)
		})
		if err == nil {
			err = archive.Close()
		}
		sent <- err
		switch {
		case err == nil, errors.Is(err, io.ErrClosedPipe):
		case t.request.tar:
			cancel() // tar must not treat an incomplete archive as complete
		default: // The script removes the incomplete file when its input ends.
			time.AfterFunc(removalTime, cancel)
			err = nil
		}
		_ = write.CloseWithError(err) // a nil error means the end of the archive
	}()
	ran := t.run(ctx, remotecommand.StreamOptions{Stdin: read}, command)
	_ = read.CloseWithError(io.ErrClosedPipe)
	_ = t.inputRead.Close()
	if err := <-sent; err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return ran
}

// passFile adds two files to the archive. The first file has the given name and the content from the client. The second
// file is empty, and its name ends with completeSuffix. passFile returns an error if the number of bytes of the content
// is not the size in the request.
func (t *transfer) passFile(archive *tar.Writer, name string) error {
	t.updateProgress(func(f *dashboardv1alpha1.CopyFrame) { f.Files, f.Size = 1, t.request.size })
	if err := archive.WriteHeader(&tar.Header{
		Name: "./" + name, Typeflag: tar.TypeReg, Mode: newFileMode, Size: t.request.size, ModTime: time.Now(),
	}); err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	_, err := io.CopyN(archive, t.inputRead, t.request.size)
	if errors.Is(err, io.EOF) {
		return streams.NewEnd(streams.Malformed, "the file is shorter than the parameter size")
	}
	if err != nil {
		return err //nolint:wrapcheck // it is an end
	}
	if n, _ := io.CopyN(io.Discard, t.inputRead, 1); n > 0 { // waits for the frame that ends the file
		return streams.NewEnd(streams.Malformed, "the file is longer than the parameter size")
	}
	t.mu.Lock()
	complete := t.complete
	t.mu.Unlock()
	if !complete { // the client has disconnected
		return io.ErrClosedPipe
	}
	// The marker file is necessary because tar reports no error if an archive ends between two entries.
	if err := archive.WriteHeader(&tar.Header{
		Name: "./" + name + completeSuffix, Typeflag: tar.TypeReg, Mode: newFileMode, ModTime: time.Now(),
	}); err != nil {
		return fmt.Errorf("writing the archive: %w", err)
	}
	return nil
}

// passEntries reads the archive that the client sends, and writes its files and directories to output.
func (t *transfer) passEntries(output *tar.Writer) error {
	from := newEntries(t.inputRead, &limits{bytes: t.provider.MaxBytes})
	for {
		header, err := from.next()
		t.updateProgress(func(f *dashboardv1alpha1.CopyFrame) { f.Skipped = from.skipped })
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeReg {
			t.updateProgress(func(f *dashboardv1alpha1.CopyFrame) { f.Files++ })
		}
		header.Name = "./" + header.Name // prevents names that tar interprets as options
		if err := output.WriteHeader(header); err != nil {
			return fmt.Errorf("writing the archive: %w", err)
		}
		if err := from.copyTo(output); err != nil {
			return err
		}
	}
}

// counter is an io.Writer that passes bytes to the command in the container. It counts the bytes, and sends progress
// frames to the client.
type counter struct {
	transfer *transfer
	stream   *streams.Stream
	to       io.Writer
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.transfer.updateProgress(func(f *dashboardv1alpha1.CopyFrame) {
		f.Bytes += int64(n)
		if f.Size > 0 { // the archive has more bytes than the file
			f.Bytes = min(f.Bytes, f.Size)
		}
	})
	if err == nil {
		err = c.transfer.report(c.stream)
	}
	return n, err
}
