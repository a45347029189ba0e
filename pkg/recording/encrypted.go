// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// These constants describe the format of an encrypted recording. The recording begins with magic and a random salt.
// Chunks follow. Each chunk consists of its length in four bytes and its ciphertext. The key of AES-256-GCM is derived
// from a configured key and the salt. The nonce consists of the number of the chunk, and of one byte. This byte is 1
// for the chunk that ends the recording, and 0 for all other chunks. The additional authenticated data is the ID of the
// recording.
//
// Decryption fails in these cases:
//
//   - A chunk was changed or moved.
//   - A chunk is missing, and another chunk follows.
//   - Data follow the chunk that ends the recording.
//   - The file was copied to another ID.
//
// Decryption does not fail if the chunks at the end are missing, because a recording in progress must be readable.
const (
	magic     = "kubevision-recording-1\n"
	saltBytes = 32
	keyBytes  = 32
	// frameBytes is the number of bytes that precede each chunk and contain the length of the chunk.
	frameBytes = 4
	// maxChunk bounds the size of a chunk in bytes. Without this bound, a damaged length could require much memory.
	maxChunk = 1 << 20
)

// ParseKeys parses a file with one key of 32 bytes per line, in base64. The first key encrypts new recordings. The
// others only decrypt older recordings. ParseKeys returns an error if there is no key or a line is invalid.
func ParseKeys(text []byte) ([][]byte, error) {
	var keys [][]byte
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(string(line))
		if err != nil || len(key) != keyBytes {
			return nil, fmt.Errorf("line %d must contain a key of %d bytes in base64", number, keyBytes)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no key")
	}
	return keys, nil
}

// cipherOf returns the cipher of a recording, for a configured key and the salt of the recording.
func cipherOf(key, salt []byte) (cipher.AEAD, error) {
	derived, err := hkdf.Key(sha256.New, key, salt, "kubevision terminal recording", keyBytes)
	if err != nil {
		return nil, fmt.Errorf("deriving a key: %w", err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("creating a cipher: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("creating a cipher: %w", err)
	}
	return gcm, nil
}

func nonce(chunkNumber uint32, isLastChunk bool) []byte {
	out := make([]byte, 12) //nolint:mnd // that of GCM
	binary.BigEndian.PutUint32(out[7:], chunkNumber)
	if isLastChunk {
		out[11] = 1
	}
	return out
}

// sealed writes an encrypted recording. It implements chunkWriter.
type sealed struct {
	to io.Writer
	// begin contains the magic bytes and the salt. It is written with the first chunk, and is nil afterwards.
	begin  []byte
	cipher cipher.AEAD
	id     []byte
	number uint32
}

// newSealed returns a writer that encrypts a recording with the given key. id is the ID of the recording.
func newSealed(to io.Writer, key []byte, id string) (*sealed, error) {
	salt := make([]byte, saltBytes)
	if _, err := rand.Read(salt); err != nil {
		return nil, fmt.Errorf("reading randomness: %w", err)
	}
	gcm, err := cipherOf(key, salt)
	if err != nil {
		return nil, err
	}
	return &sealed{to: to, begin: append([]byte(magic), salt...), cipher: gcm, id: []byte(id)}, nil
}

func (w *sealed) write(chunk []byte, isLast bool) error {
	if w.number == math.MaxUint32 {
		return ErrFull
	}
	framed := make([]byte, 0, len(w.begin)+len(chunk)+frameBytes+w.cipher.Overhead())
	framed = append(framed, w.begin...)
	framed = binary.BigEndian.AppendUint32(framed, uint32(len(chunk)+w.cipher.Overhead())) //nolint:gosec // it is small
	framed = w.cipher.Seal(framed, nonce(w.number, isLast), chunk, w.id)
	w.begin = nil
	w.number++
	_, err := w.to.Write(framed)
	return err //nolint:wrapcheck // the caller wraps it
}

// opened reads an encrypted recording, also while the recording is in progress.
type opened struct {
	from   *bufio.Reader
	cipher cipher.AEAD
	id     []byte
	number uint32
	rest   []byte
	last   bool
}

// open returns a reader of a recording. The reader decrypts the recording if it is encrypted. open returns
// ErrUnreadable if it cannot decrypt an encrypted recording with any of the keys.
func open(from io.Reader, keys [][]byte, id string) (io.Reader, error) {
	buffered := bufio.NewReader(from)
	if begin, err := buffered.Peek(len(magic)); err != nil || string(begin) != magic {
		return buffered, nil //nolint:nilerr // the text is too short to be encrypted
	}
	salt := make([]byte, saltBytes)
	if _, err := buffered.Discard(len(magic)); err != nil {
		return nil, ErrUnreadable
	}
	if _, err := io.ReadFull(buffered, salt); err != nil {
		return nil, ErrUnreadable
	}
	first, err := readChunk(buffered)
	if err != nil {
		return nil, ErrUnreadable
	}
	for _, key := range keys {
		gcm, err := cipherOf(key, salt)
		if err != nil {
			return nil, err
		}
		o := &opened{from: buffered, cipher: gcm, id: []byte(id)}
		if o.decrypt(first) == nil {
			return o, nil
		}
	}
	return nil, ErrUnreadable
}

func readChunk(from io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, err //nolint:wrapcheck // the caller examines it
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxChunk {
		return nil, ErrUnreadable
	}
	chunk := make([]byte, n)
	_, err := io.ReadFull(from, chunk)
	return chunk, err //nolint:wrapcheck // as above
}

// decrypt decrypts the next chunk. It returns ErrUnreadable if the key or the chunk is wrong.
func (o *opened) decrypt(chunk []byte) error {
	for _, last := range []bool{false, true} {
		text, err := o.cipher.Open(nil, nonce(o.number, last), chunk, o.id)
		if err == nil {
			o.rest, o.last = text, last
			o.number++
			return nil
		}
	}
	return ErrUnreadable
}

// Read implements io.Reader. It returns ErrUnreadable if a chunk is damaged, or if data follows the last chunk.
func (o *opened) Read(p []byte) (int, error) {
	for len(o.rest) == 0 {
		if o.last {
			if _, err := o.from.ReadByte(); err == nil {
				return 0, ErrUnreadable // data were appended after the last chunk
			}
			return 0, io.EOF
		}
		chunk, err := readChunk(o.from)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, io.EOF // the recording is in progress, or the program was killed
		}
		if err != nil {
			return 0, ErrUnreadable
		}
		if err := o.decrypt(chunk); err != nil {
			return 0, err
		}
	}
	n := copy(p, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}
