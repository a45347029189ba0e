// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	// pieceBytes is a threshold in bytes. When the pending events of a recording reach it, they are written to a new
	// object in the bucket.
	pieceBytes = 64 << 10
	// pieceInterval is the time after which the pending events of a recording are written to a new object in the
	// bucket, even if they have fewer than pieceBytes bytes. A process that is killed loses its pending events.
	pieceInterval = 3 * time.Second
	// bucketScan is the time after which the size of all objects in the bucket is measured again.
	bucketScan = time.Minute
	// bucketMemory is the memory that one recording in progress needs if it is stored in an S3 bucket, in bytes. It
	// covers the pending events, their ciphertext and the HTTP request.
	bucketMemory = 512 << 10
	// requestTimeout bounds the time to write or delete an object, including retries. It is short, because the recorded
	// terminal session waits while events are written.
	requestTimeout = 5 * time.Second
	// listTimeout bounds the time to list the objects in the bucket.
	listTimeout = 30 * time.Second
	// maxObjects bounds the number of objects in the bucket that one operation lists. If there are more objects, the
	// operation fails.
	maxObjects = 1_000_000
	// maxResponse bounds the size of an object that is read from the bucket, in bytes.
	maxResponse = 2 * MaxFileBytes
	// maxMarkup bounds the size of an XML response of the S3 service, in bytes.
	maxMarkup = 4 << 20
	// maxTags bounds the number of tags in an XML response of the S3 service, because a decoded tag needs far more
	// memory than its text.
	maxTags = 40_000
	// maxErrorBytes bounds the size of an error response of the S3 service, in bytes.
	maxErrorBytes = 16 << 10
	// listsAtOnce bounds the number of operations that list objects in the bucket concurrently, because each of them
	// needs the memory of a response.
	listsAtOnce = 2
	// pieceDigits is the number of digits at the end of the name of a piece, which is an object with a part of a
	// recording. The digits are the number of the piece.
	pieceDigits = 6
	// maxPieces is the maximum number of pieces of a recording, which are separate objects in the bucket. It has
	// pieceDigits digits.
	maxPieces = 999_999
	// partBytes is the size of the parts of a multipart upload, in bytes. S3 allows no smaller parts.
	partBytes = 5 << 20
)

// BucketOptions configures the access to an S3 bucket.
type BucketOptions struct {
	// Endpoint is the https or http URL of the S3 service.
	Endpoint *url.URL
	// Name is the name of the bucket.
	Name string
	// Prefix precedes the names of all objects in the bucket.
	Prefix string
	// Region is the region of the bucket. If it is empty, the client asks the service for it.
	Region string
	// CredentialsDir is a directory with the files access-key-id, secret-access-key and, optionally, session-token. If
	// it is empty, the credentials are read from the environment variables of AWS.
	CredentialsDir string
	// Roots contains the trusted certificate authorities. Nil means those of the operating system.
	Roots *x509.CertPool
}

// bucket stores recordings in an S3 bucket. While a recording is in progress, each write creates an object with a piece
// of the recording: <prefix><id>/<number>. After the end of the recording, the pieces are joined to one object:
// <prefix><id>.cast.
type bucket struct {
	client       *minio.Client
	name, prefix string
	// joining is a semaphore with joinsAtOnce places. A goroutine takes a place while it copies the pieces of a
	// recording to one object.
	joining      chan struct{}
	pendingJoins chan struct{}
	// listing is a semaphore that limits how many lists of the bucket are requested at the same time.
	listing chan struct{}
}

const (
	// joinsAtOnce bounds the number of concurrent joins. A join copies all objects with parts of one recording to one
	// new object. Each join takes partBytes of memory.
	joinsAtOnce = 2
	// maxJoins bounds the number of running and waiting joins. A join copies all objects with parts of one recording to
	// one new object.
	maxJoins = 1000
)

func newBucket(o *BucketOptions) (*bucket, error) {
	base, err := minio.DefaultTransport(o.Endpoint.Scheme == "https")
	if err != nil {
		return nil, fmt.Errorf("creating a transport: %w", err)
	}
	if o.Roots != nil {
		base.TLSClientConfig = &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12}
	}
	client, err := minio.New(o.Endpoint.Host, &minio.Options{
		Creds: newCredentials(o.CredentialsDir), Secure: o.Endpoint.Scheme == "https", Region: o.Region,
		Transport: boundedTransport{base},
	})
	if err != nil {
		return nil, fmt.Errorf("creating a client of the bucket: %w", err)
	}
	prefix := o.Prefix
	if prefix != "" && !strings.HasSuffix(prefix, "/") {
		prefix += "/"
	}
	return &bucket{
		client: client, name: o.Name, prefix: prefix, joining: make(chan struct{}, joinsAtOnce),
		pendingJoins: make(chan struct{}, maxJoins), listing: make(chan struct{}, listsAtOnce),
	}, nil
}

func (*bucket) settings() settings {
	return settings{flushBytes: pieceBytes, flushInterval: pieceInterval, scan: bucketScan, memory: bucketMemory}
}

// check writes and deletes an object. It returns an error if one of the two fails.
func (b *bucket) check() error {
	key := b.prefix + "probe-" + strings.ToLower(rand.Text()) + partSuffix
	if err := b.put(key, []byte("probe")); err != nil {
		return err
	}
	return b.delete(context.Background(), key)
}

// put writes an object. The service verifies the checksum of the content.
func (b *bucket) put(key string, content []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	_, err := b.client.PutObject(ctx, b.name, key, bytes.NewReader(content), int64(len(content)), putOptions())
	if err != nil {
		return fmt.Errorf("writing an object: %w", err)
	}
	return nil
}

func putOptions() minio.PutObjectOptions {
	return minio.PutObjectOptions{
		ContentType: "application/octet-stream", SendContentMd5: true, PartSize: partBytes, NumThreads: 1,
	}
}

func (b *bucket) delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := b.client.RemoveObject(ctx, b.name, key, minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("deleting an object: %w", err)
	}
	return nil
}

func (b *bucket) create(id string) (file, error) { return &bucketFile{bucket: b, id: id}, nil }

// key returns the name of the object that contains a complete recording.
func (b *bucket) key(id string) string { return b.prefix + id + suffix }

// pieceKey returns the name of the object that contains a piece. Numbers begin with 1.
func (b *bucket) pieceKey(id string, number int) string {
	return fmt.Sprintf("%s%s/%0*d", b.prefix, id, pieceDigits, number)
}

func (b *bucket) list(ctx context.Context, visit func(fileInfo) error) (used int64, err error) {
	return b.find(ctx, b.prefix, visit)
}

func (b *bucket) stat(ctx context.Context, id string) (fileInfo, error) {
	out := fileInfo{}
	_, err := b.find(ctx, b.prefix+id, func(f fileInfo) error {
		switch {
		case f.id != id:
		case out.id == "":
			out = f
		default:
			out.merge(&f)
		}
		return nil
	})
	if err == nil && out.id == "" {
		err = ErrNotFound
	}
	return out, err
}

// find lists the objects whose names have the prefix, and calls visit for each recording among them. It returns the
// total size of the listed objects.
func (b *bucket) find(ctx context.Context, prefix string, visit func(fileInfo) error) (used int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	select {
	case b.listing <- struct{}{}:
		defer func() { <-b.listing }()
	case <-ctx.Done():
		return 0, fmt.Errorf("listing objects: %w", ctx.Err())
	}
	objects, last := 0, fileInfo{}
	for o := range b.client.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return 0, fmt.Errorf("listing objects: %w", o.Err)
		}
		objects++
		if objects > maxObjects {
			return 0, fmt.Errorf("listing objects: more than %d objects begin with %q", maxObjects, prefix)
		}
		used += max(o.Size, 0)
		part, ok := b.infoOf(&o)
		switch {
		case !ok:
			continue
		case part.id == last.id:
			last.merge(&part)
			continue
		case last.id != "":
			err = visit(last)
		}
		if err != nil {
			return 0, err
		}
		last = part
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("listing objects: %w", err)
	}
	if last.id != "" {
		err = visit(last)
	}
	return used, err
}

// infoOf returns the fileInfo of one object in the bucket. It returns false if the object belongs to no recording.
func (b *bucket) infoOf(o *minio.ObjectInfo) (f fileInfo, ok bool) {
	id, number, ok := parseKey(strings.TrimPrefix(o.Key, b.prefix))
	if !ok {
		return fileInfo{}, false
	}
	f = fileInfo{id: id, bytes: max(o.Size, 0), modified: o.LastModified, lastPiece: number, isWhole: number == 0}
	if number > 0 {
		f.found = 1
	}
	return f, true
}

// parseKey parses the name of an object without the prefix. It returns the ID of the recording, and the number of the
// piece. number is 0 for an object that contains the complete recording. parseKey returns false if the object belongs
// to no recording.
func parseKey(name string) (id string, number int, ok bool) {
	if id, ok = strings.CutSuffix(name, suffix); ok {
		return id, 0, ids.MatchString(id)
	}
	id, digits, ok := strings.Cut(name, "/")
	number, err := strconv.Atoi(digits)
	return id, number, ok && err == nil && number > 0 && len(digits) == pieceDigits && ids.MatchString(id)
}
