// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/minio/minio-go/v7"
	"k8s.io/klog/v2"
)

const (
	// joinTimeout bounds the time to join the pieces of a recording to one object.
	joinTimeout = 5 * time.Minute
	// readTimeout bounds the time to read an object from the bucket.
	readTimeout = time.Minute
)

// bucketFile is a recording that is being written to a bucket. Each Write creates an object with a piece of the
// recording. bucketFile implements file.
type bucketFile struct {
	bucket *bucket
	id     string
	pieces int
	bytes  int64
}

// Write stores p, the next piece of the recording, in a new object in the bucket. It returns ErrFull if the recording
// already has maxPieces pieces.
func (f *bucketFile) Write(p []byte) (int, error) {
	if f.pieces == maxPieces {
		return 0, ErrFull
	}
	if err := f.bucket.put(f.bucket.pieceKey(f.id, f.pieces+1), p); err != nil {
		return 0, err
	}
	f.pieces++
	f.bytes += int64(len(p))
	return len(p), nil
}

// finish starts a goroutine that joins the pieces to one object. If too many recordings wait for joining, it starts no
// goroutine, and the recording remains in pieces.
func (f *bucketFile) finish() error {
	select {
	case f.bucket.pendingJoins <- struct{}{}:
	default:
		klog.Background().Info("The pieces of a recording are not joined: too many recordings are being joined",
			"recording", f.id)
		return nil
	}
	go func() {
		defer func() { <-f.bucket.pendingJoins }()
		f.bucket.joining <- struct{}{}
		defer func() { <-f.bucket.joining }()
		if err := f.join(); err != nil {
			klog.Background().Error(err, "The pieces of a recording cannot be joined", "recording", f.id)
		}
	}()
	return nil
}

func (f *bucketFile) join() error {
	ctx, cancel := context.WithTimeout(context.Background(), joinTimeout)
	defer cancel()
	content := f.bucket.openPieces(ctx, f.id, f.pieces)
	defer func() { _ = content.Close() }()
	made, err := f.bucket.client.PutObject(ctx, f.bucket.name, f.bucket.key(f.id), content, f.bytes, putOptions())
	if err != nil {
		return fmt.Errorf("writing an object: %w", err)
	}
	if made.Size != f.bytes {
		return fmt.Errorf("an object has %d of %d bytes", made.Size, f.bytes)
	}
	return f.bucket.deletePieces(ctx, f.id, f.pieces)
}

// discard deletes all objects in the bucket that contain pieces of the recording.
func (f *bucketFile) discard() error {
	return f.bucket.deletePieces(context.Background(), f.id, f.pieces)
}

func (b *bucket) tidy(ctx context.Context, info fileInfo) error {
	if !info.isWhole {
		return nil
	}
	return b.deleteFound(ctx, &info)
}

// deleteFound deletes all existing pieces of a recording. If a piece is missing, deleteFound lists the pieces to find
// out which ones exist.
func (b *bucket) deleteFound(ctx context.Context, info *fileInfo) error {
	if info.found == info.lastPiece {
		return b.deletePieces(ctx, info.id, info.lastPiece)
	}
	options := minio.ListObjectsOptions{Prefix: b.prefix + info.id + "/", Recursive: true}
	for o := range b.client.ListObjectsIter(ctx, b.name, options) {
		if o.Err != nil {
			return fmt.Errorf("listing objects: %w", o.Err)
		}
		if f, ok := b.infoOf(&o); !ok || f.id != info.id {
			continue
		}
		if err := b.delete(ctx, o.Key); err != nil {
			return err
		}
	}
	return nil
}

// deletePieces deletes the pieces of a recording, from piece 1 to lastPiece. It stops at the first error.
func (b *bucket) deletePieces(ctx context.Context, id string, lastPiece int) error {
	for number := range lastPiece {
		if err := b.delete(ctx, b.pieceKey(id, number+1)); err != nil {
			return err
		}
	}
	return nil
}

func (b *bucket) remove(ctx context.Context, info fileInfo) error {
	err := b.deleteFound(ctx, &info)
	if err == nil && info.isWhole {
		err = b.delete(ctx, b.key(info.id))
	}
	return err
}

func (b *bucket) open(ctx context.Context, info fileInfo) (io.ReadCloser, error) {
	if info.isWhole {
		return b.openObject(ctx, b.key(info.id))
	}
	return b.openPieces(ctx, info.id, info.lastPiece), nil
}

// object is a reader of an object in the S3 bucket.
type object struct {
	*minio.Object

	cancel context.CancelFunc
}

// Close cancels the HTTP request that reads the object from the S3 bucket, and closes the reader.
func (o object) Close() error {
	o.cancel()
	return o.Object.Close() //nolint:wrapcheck // as it is
}

func (b *bucket) openObject(ctx context.Context, key string) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	opened, err := b.client.GetObject(ctx, b.name, key, minio.GetObjectOptions{})
	if err != nil {
		cancel()
		return nil, fmt.Errorf("reading an object: %w", err)
	}
	return object{opened, cancel}, nil
}

// openPieces returns a reader of the pieces of a recording, from piece 1 to lastPiece.
func (b *bucket) openPieces(ctx context.Context, id string, lastPiece int) io.ReadCloser {
	return &piecesReader{next: 1, last: lastPiece, open: func(number int) (io.ReadCloser, error) {
		return b.openObject(ctx, b.pieceKey(id, number))
	}}
}

type piecesReader struct {
	next, last int
	open       func(number int) (io.ReadCloser, error)
	// current is the reader of the current piece, or nil.
	current io.ReadCloser
}

// Read reads the pieces one after the other, and returns io.EOF after the last one.
func (r *piecesReader) Read(p []byte) (int, error) {
	for {
		if r.current == nil && r.next > r.last {
			return 0, io.EOF
		}
		if r.current == nil {
			opened, err := r.open(r.next)
			if err != nil {
				return 0, err
			}
			r.current = opened
			r.next++
		}
		n, err := r.current.Read(p)
		if errors.Is(err, io.EOF) {
			err = r.Close()
		}
		if n > 0 || err != nil {
			return n, err //nolint:wrapcheck // as it is
		}
	}
}

// Close closes the reader of the current piece, if there is one.
func (r *piecesReader) Close() error {
	if r.current == nil {
		return nil
	}
	err := r.current.Close()
	r.current = nil
	return err //nolint:wrapcheck // as it is
}
