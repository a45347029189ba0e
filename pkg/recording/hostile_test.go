// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const oldID, newestID = "20260102t030405-old", "20260102t030405-whole"

// fakeBucket is an S3 service with configured responses. It stores nothing.
type fakeBucket struct {
	// list writes the response to a request for the list of objects. If list is nil, the client gets no response.
	list func(w http.ResponseWriter)
	// get writes the response to a request for the content of an object. If get is nil, the client gets no response.
	get            func(w http.ResponseWriter)
	ignoresDeletes bool

	deletions atomic.Int64
}

// ServeHTTP implements http.Handler.
func (f *fakeBucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	hang := func() { <-r.Context().Done() }
	answer := f.get
	switch {
	case r.Method == http.MethodDelete:
		f.deletions.Add(1)
		if f.ignoresDeletes {
			hang()
		}
		w.WriteHeader(http.StatusNoContent)
		return
	case r.Method == http.MethodPut:
		w.Header().Set("ETag", `"x"`)
		return
	case r.URL.Query().Has("list-type"):
		answer = f.list
	}
	if answer == nil {
		hang()
		return
	}
	answer(w)
}

// listed returns a function that responds with an S3 list of objects. The function adds the prefix "a/" to each name.
func listed(names ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		_, _ = io.WriteString(w, `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">`)
		for _, name := range names {
			_, _ = fmt.Fprintf(w, `<Contents><Key>a/%s</Key><Size>10</Size>`+
				`<LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>`, name)
		}
		_, _ = io.WriteString(w, `<IsTruncated>false</IsTruncated></ListBucketResult>`)
	}
}

func (f *fakeBucket) store(t *testing.T) *Store {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	endpoint, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{accessKeyFile, secretKeyFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), fileMode); err != nil {
			t.Fatal(err)
		}
	}
	b, err := newBucket(&BucketOptions{
		Endpoint: endpoint, Name: "bucket", Prefix: "a", Region: "us-east-1", CredentialsDir: dir,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Store{files: b, options: Options{MaxBytes: 1 << 30, MaxAge: time.Minute}}
}

// TestBucketThatDoesNotDelete verifies that new terminal sessions do not wait for the deletion of old recordings. The
// S3 service does not respond to the deletions.
func TestBucketThatDoesNotDelete(t *testing.T) {
	f := &fakeBucket{ignoresDeletes: true, list: listed(oldID+".cast", newestID+".cast", newestID+"/000001")}
	s := f.store(t)
	begun := time.Now()
	for range 3 {
		if err := s.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		s.measured = time.Time{}
		s.mu.Unlock()
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("three terminals wait for %s", took)
	}
	if f.deletions.Load() == 0 {
		t.Error("nothing was deleted")
	}
}

// TestBucketThatDoesNotAnswer verifies that Check, List and Get return at the deadline of the context if the S3 service
// does not respond. Concurrent calls do not wait for each other.
func TestBucketThatDoesNotAnswer(t *testing.T) {
	s := (&fakeBucket{}).store(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begun := time.Now()
	var all sync.WaitGroup
	for range 5 {
		for name, call := range map[string]func() error{
			"check": func() error { return s.Check(ctx) },
			"list": func() error {
				_, _, err := s.List(ctx, 0, 1)
				return err
			},
			"get": func() error {
				_, err := s.Get(ctx, oldID)
				return err
			},
		} {
			all.Go(func() {
				if err := call(); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	}
	all.Wait()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("they wait for %s", took)
	}
}

// TestObjectThatDoesNotEnd verifies that Get and List fail at the deadline of the context if the S3 service does not
// send the content of an S3 object.
func TestObjectThatDoesNotEnd(t *testing.T) {
	s := (&fakeBucket{list: listed(oldID+"/000001", oldID+"/000002")}).store(t)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if _, err := s.Get(ctx, oldID); err == nil {
		t.Error("it is read")
	}
	if found, _, err := s.List(ctx, 0, 1); err == nil {
		t.Errorf("the list is %+v", found)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("it takes %s", took)
	}
}

// TestLargeLists verifies that a very large list of objects from the S3 service is rejected, and uses little memory.
func TestLargeLists(t *testing.T) {
	for name, part := range map[string]string{
		"empty objects": "<Contents/>", "empty prefixes": "<CommonPrefixes/>",
		"long names": "<Contents><Key>" + strings.Repeat("x", 1<<10) + "</Key></Contents>",
	} {
		t.Run(name, func(t *testing.T) {
			s := (&fakeBucket{list: func(w http.ResponseWriter) {
				_, _ = io.WriteString(w, `<ListBucketResult>`+strings.Repeat(part, (16<<20)/len(part))+
					`</ListBucketResult>`)
			}}).store(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := s.Check(t.Context())
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Error("the list is read")
			}
			if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 256 {
				t.Errorf("it takes %d MiB", took)
			}
		})
	}
}

func TestLargeErrors(t *testing.T) {
	s := (&fakeBucket{list: func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Message>"+strings.Repeat("x", 900<<10)+"</Message></Error>")
	}}).store(t)
	if err := s.Check(t.Context()); err == nil || len(err.Error()) > maxErrorBytes {
		t.Errorf("the error has %d bytes", len(fmt.Sprint(err)))
	}
}

// TestInventedObjects verifies that the Store sends few delete requests for a recording whose first objects are
// missing. Of the numbered objects of the recording, the S3 service lists only the object 999999.
func TestInventedObjects(t *testing.T) {
	f := &fakeBucket{list: listed(newestID+".cast", newestID+"/999999")}
	s := f.store(t)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.cleaning.Lock() // the deletion has ended
	if got := f.deletions.Load(); got > 3 {
		t.Errorf("%d deletions", got)
	}
}

// TestNegativeSizes verifies that the measured size of all recordings is not negative if the S3 service reports an S3
// object with a negative size.
func TestNegativeSizes(t *testing.T) {
	s := (&fakeBucket{list: func(w http.ResponseWriter) {
		_, _ = fmt.Fprintf(w, `<ListBucketResult><Contents><Key>a/%s.cast</Key><Size>-9223372036854775808</Size>`+
			`</Contents></ListBucketResult>`, oldID)
	}}).store(t)
	if err := s.Check(t.Context()); err != nil || s.used < 0 {
		t.Errorf("%d bytes are in use (%v)", s.used, err)
	}
}

// TestManyJoins verifies that at most about maxJoins goroutines are started when many recordings end at once. Each
// goroutine copies the S3 objects of one recording into a single S3 object.
func TestManyJoins(t *testing.T) {
	f := &fakeBucket{}
	b, ok := f.store(t).files.(*bucket)
	if !ok {
		t.Fatal("it is no bucket")
	}
	before := runtime.NumGoroutine()
	for range 2 * maxJoins {
		made := &bucketFile{bucket: b, id: oldID, pieces: 1, bytes: 10}
		if err := made.finish(); err != nil {
			t.Fatal(err)
		}
	}
	if now := runtime.NumGoroutine(); now > before+maxJoins+100 {
		t.Errorf("%d goroutines, %d before", now, before)
	}
}
