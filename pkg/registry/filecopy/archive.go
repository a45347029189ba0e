// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filecopy

import (
	"archive/tar"
	"errors"
	"io"
	"path"
	"strings"
	"time"

	"github.com/kubevision-io/kubevision/pkg/streams"
)

const (
	// blockBytes is the size of a block of an archive. Each entry is charged with one block.
	blockBytes = 512
	// maxHeaderBytes bounds the blocks before the content of an entry: a name and its extended headers.
	maxHeaderBytes = 64 << 10
	// sparsePrefix is the prefix of the extended headers of sparse files, in which few bytes of an archive may become a
	// file of any size.
	sparsePrefix = "GNU.sparse."
)

// limits counts down the bytes that an archive may still contain.
type limits struct {
	// bytes is the number of bytes left. An entry is charged with the size of its content and one block.
	bytes int64
}

// errTooLarge returns the end of a copy that exceeds its limit.
func errTooLarge() error {
	return streams.NewEnd(streams.TooLarge, "the files are larger than a copy may be")
}

// take counts the bytes of an entry.
func (l *limits) take(size int64) error {
	if size < 0 || size > l.bytes-blockBytes {
		return errTooLarge()
	}
	l.bytes -= size + blockBytes
	return nil
}

// boundedReader reads an archive, and bounds the bytes until the content of an entry begins.
type boundedReader struct {
	from io.Reader
	left int64
}

var errHeader = errors.New("a header of the archive is too large")

// Read implements io.Reader.
func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errHeader
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err //nolint:wrapcheck // as a reader returns it
}

// entries reads the entries of an archive that is not trusted.
type entries struct {
	bounded *boundedReader
	archive *tar.Reader
	limits  *limits
	// skipped is the number of omitted entries.
	skipped int64
}

func newEntries(from io.Reader, l *limits) *entries {
	b := &boundedReader{from: from}
	return &entries{bounded: b, archive: tar.NewReader(b), limits: l}
}

// next returns the next file or directory, or io.EOF. It omits other entries, such as links and devices, because a
// later entry could be written through a link. It returns an error for a name outside the directory of the archive.
func (e *entries) next() (*tar.Header, error) {
	for {
		e.bounded.left = maxHeaderBytes
		header, err := e.archive.Next()
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if err != nil {
			return nil, malformed(err)
		}
		clean, err := cleanHeader(header)
		if err != nil {
			return nil, err
		}
		if err := e.limits.take(clean.Size); err != nil {
			return nil, err
		}
		if clean.Typeflag == tar.TypeReg || clean.Typeflag == tar.TypeDir {
			e.bounded.left = clean.Size + blockBytes
			return clean, nil
		}
		e.skipped++
	}
}

// copyTo copies the content of the last entry.
func (e *entries) copyTo(w io.Writer) error {
	_, err := io.Copy(w, e.archive)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errHeader) {
		return malformed(err)
	}
	return err //nolint:wrapcheck // it is that of the writer, or of the source
}

// malformed returns the End in the error, or an End for a malformed archive if there is none.
func malformed(err error) error {
	if end, ok := errors.AsType[*streams.End](err); ok {
		return end
	}
	return streams.NewEnd(streams.Malformed, "the archive is malformed, or not complete")
}

// cleanHeader returns the accepted part of a header.
func cleanHeader(h *tar.Header) (*tar.Header, error) {
	if isSparse(h) {
		return nil, streams.NewEnd(streams.Malformed, "the archive has a file with holes")
	}
	name, ok := localName(h.Name)
	if !ok {
		return nil, streams.NewEnd(streams.Malformed, "the archive has a name that is not below its directory")
	}
	clean := &tar.Header{Name: name, Typeflag: h.Typeflag, Mode: h.Mode & permissions, ModTime: h.ModTime}
	switch h.Typeflag {
	case tar.TypeReg:
		clean.Size = h.Size
	case tar.TypeDir:
		clean.Name += "/"
	default:
	}
	if clean.ModTime.Before(time.Unix(0, 0)) || clean.ModTime.Year() > maxYear {
		clean.ModTime = time.Unix(0, 0)
	}
	return clean, nil
}

const (
	// permissions are the accepted bits of a mode. They exclude setuid, setgid and sticky bits.
	permissions = 0o777
	// maxYear is the year of the last time that all versions of tar can read.
	maxYear = 2242
)

func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, sparsePrefix) {
			return true
		}
	}
	return false
}

// localName returns the clean form of a name in an archive, or false if the name is outside the directory. It rejects
// backslashes and control characters, because some systems interpret them differently.
func localName(name string) (string, bool) {
	if name == "" || strings.HasPrefix(name, "/") || len(name) > maxPath {
		return "", false
	}
	for _, r := range name {
		if r < ' ' || r == '\\' || r == '\x7f' || r == '\uFFFD' {
			return "", false
		}
	}
	for segment := range strings.SplitSeq(name, "/") {
		if segment == ".." {
			return "", false
		}
	}
	return path.Clean(name), true
}
