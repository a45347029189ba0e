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
	// blockBytes is the size of a block of a tar archive, in bytes. The size of a copy includes one block for the
	// header of each entry.
	blockBytes = 512
	// maxHeaderBytes bounds the bytes of the headers of one entry.
	maxHeaderBytes = 64 << 10
	// sparsePrefix is the prefix of the PAX records of sparse files. A sparse file has few bytes in an archive, and can
	// expand to any size.
	sparsePrefix = "GNU.sparse."
)

// limits tracks how many more bytes an archive may contain before it is too large.
type limits struct {
	// bytes is the number of bytes that the archive may still contain.
	bytes int64
}

// errTooLarge returns the error for a copy that exceeds its limit of bytes.
func errTooLarge() error {
	return streams.NewEnd(streams.TooLarge, "the files are larger than a copy may be")
}

// take subtracts the content and the header of one entry from the bytes that the archive may still contain. It returns
// an error if too few bytes remain.
func (l *limits) take(contentBytes int64) error {
	if contentBytes < 0 || contentBytes > l.bytes-blockBytes {
		return errTooLarge()
	}
	l.bytes -= contentBytes + blockBytes
	return nil
}

// boundedReader is an io.Reader that reads at most bytesLeft bytes of a tar archive, and then returns an error. It
// protects against malicious archives with very large headers.
type boundedReader struct {
	from io.Reader
	// bytesLeft is the number of bytes that may still be read. Before each header of the archive, it is set to
	// maxHeaderBytes. Before the content of each file, it is set to the size of the file and the padding.
	bytesLeft int64
}

var errHeader = errors.New("a header of the archive is too large")

// Read implements io.Reader.
func (b *boundedReader) Read(p []byte) (int, error) {
	if b.bytesLeft <= 0 {
		return 0, errHeader
	}
	n, err := b.from.Read(p[:min(int64(len(p)), b.bytesLeft)])
	b.bytesLeft -= int64(n)
	return n, err //nolint:wrapcheck // as a reader returns it
}

// entries reads the entries of an archive. The archive comes from a client or a container, and may be malicious.
type entries struct {
	bounded *boundedReader
	archive *tar.Reader
	limits  *limits
	// skipped is the number of omitted entries, such as links.
	skipped int64
}

func newEntries(from io.Reader, l *limits) *entries {
	b := &boundedReader{from: from}
	return &entries{bounded: b, archive: tar.NewReader(b), limits: l}
}

// next returns the header of the next file or directory, or io.EOF. It skips all other entries, because a symbolic link
// in the archive could redirect later entries to a different directory. next returns an error if the archive is
// malformed or too large.
func (e *entries) next() (*tar.Header, error) {
	for {
		e.bounded.bytesLeft = maxHeaderBytes
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
			e.bounded.bytesLeft = clean.Size + blockBytes
			return clean, nil
		}
		e.skipped++
	}
}

// copyTo writes the content of the current entry to w. This is the entry whose header was returned by the last call of
// next().
func (e *entries) copyTo(w io.Writer) error {
	_, err := io.Copy(w, e.archive)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errHeader) {
		return malformed(err)
	}
	return err //nolint:wrapcheck // it is that of the writer, or of the source
}

// malformed converts an error to a *streams.End that reports a malformed archive. If err already wraps a *streams.End,
// malformed returns the wrapped *streams.End.
func malformed(err error) error {
	if end, ok := errors.AsType[*streams.End](err); ok {
		return end
	}
	return streams.NewEnd(streams.Malformed, "the archive is malformed, or not complete")
}

// cleanHeader returns a copy of h that contains only the name, the type, the permissions, the size and the modification
// time. It normalizes the name. It returns an error for a sparse file, and for a name that localName rejects.
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
	// permissions contains the accepted bits of a mode. The setuid, setgid and sticky bits are removed.
	permissions = 0o777
	// maxYear is the maximum year of modification times. Later times do not fit in the 11 octal digits of a tar header.
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

// localName returns the normalized form of name. It returns false if name is absolute, is too long, or contains the
// segment "..". It also returns false for a backslash or a control character, because some systems interpret these
// characters differently.
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
