// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// scriptedCluster is a fake API server. A function of the test writes the responses. The server uses no network, so
// that tests can use a fake clock.
type scriptedCluster struct {
	done chan struct{}
	// write writes the response to a list or watch request. The response to a list request ends when the function
	// returns.
	write func(w io.Writer, isWatch bool)
}

func (c *scriptedCluster) Reader(context.Context) (rest.Interface, error) {
	return rest.UnversionedRESTClientForConfigAndClient(&rest.Config{
		Host: "http://cluster", QPS: -1,
		ContentConfig: rest.ContentConfig{NegotiatedSerializer: scheme.Codecs.WithoutConversion()},
	}, &http.Client{Transport: c})
}

func (c *scriptedCluster) Done() <-chan struct{} { return c.done }

// RoundTrip implements http.RoundTripper.
func (c *scriptedCluster) RoundTrip(r *http.Request) (*http.Response, error) {
	reader, writer := io.Pipe()
	context.AfterFunc(r.Context(), func() { _ = writer.CloseWithError(io.ErrUnexpectedEOF) })
	isWatch := r.URL.Query().Get("watch") != ""
	go func() {
		c.write(writer, isWatch)
		if !isWatch {
			_ = writer.Close()
		}
	}()
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: reader, Request: r,
	}, nil
}

// stopAll drops all objects from a cache, and waits for the goroutines of the cache.
func stopAll(c *Cache) {
	c.sweep(time.Now().Add(time.Hour))
	synctest.Wait()
}

// TestLongLists verifies that an endless list is aborted after maxListTime.
func TestLongLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, begun := New(1<<20), time.Now()
		f := &scriptedCluster{write: func(w io.Writer, _ bool) {
			_, err := io.WriteString(w, `{"items":[{"metadata":{"name":"o"}}`)
			for n := 0; err == nil; n++ {
				time.Sleep(time.Second)
				_, err = fmt.Fprintf(w, `,{"metadata":{"name":"o%d"}}`, n)
			}
		}}
		if _, ok := c.Get(t.Context(), f, core("a"), "Kind", "u"); ok {
			t.Error("an incomplete list is shown")
		}
		time.Sleep(maxListTime - time.Second - time.Since(begun))
		if !c.Holds(f, core("a")) {
			t.Errorf("the list has ended after %s", time.Since(begun))
		}
		time.Sleep(2 * time.Second)
		if c.Holds(f, core("a")) {
			t.Errorf("the list goes on after %s", time.Since(begun))
		}
		stopAll(c)
	})
}

// TestEventRate verifies that the cache limits the rate of watch events of a cluster. The limit applies to all kinds
// together.
func TestEventRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const further = 2 * time.Second
		last := strconv.Itoa(eventBurst + eventRate*int(further.Seconds()))
		c := New(1 << 20)
		f := &scriptedCluster{write: func(w io.Writer, isWatch bool) {
			if !isWatch {
				_, _ = io.WriteString(w, `{"metadata":{"resourceVersion":"1"},"items":[]}`)
				return
			}
			var err error
			for n := 2; err == nil; n++ {
				_, err = fmt.Fprintf(w, `{"type":"MODIFIED","object":{"metadata":{"name":"o","resourceVersion":"%d"}}}`+
					"\n", n)
			}
		}}
		if _, ok := c.Get(t.Context(), f, core("a"), "Kind", "u"); !ok {
			t.Fatal("it is not cached")
		}
		begun, k := time.Now(), c.kinds[kindKey{f, core("a")}]
		_, ok := k.store.await(t.Context(), func(s *Snapshot) bool { return s.reaches(last) })
		if took := time.Since(begun); !ok || took < further*9/10 || took > 2*further {
			t.Errorf("%s changes took %s, want %s", last, took, further)
		}
		if other := c.paceOf(f); other != k.source.pace {
			t.Error("another kind of the cluster has a rate of its own")
		}
		stopAll(c)
	})
}

// TestPauses verifies that a kind that cannot be cached is retried after increasing intervals.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last pause
		for _, seconds := range []int{1, 2, 4, 8, 16, 30, 30} {
			want := time.Duration(seconds) * time.Second
			last = last.next(refusedFor)
			if last.length != want {
				t.Errorf("the pause is %s, want %s", last.length, want)
			}
			time.Sleep(last.length + time.Second)
		}
		time.Sleep(refusedFor)
		if last = last.next(refusedFor); last.length != refusedFirst {
			t.Errorf("the pause is %s after a while, want %s", last.length, refusedFirst)
		}
		if last = last.next(tooLargeFor); last.length != tooLargeFor {
			t.Errorf("a kind that does not fit is tried again after %s, want %s", last.length, tooLargeFor)
		}
	})
}
