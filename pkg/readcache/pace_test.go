// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/pkg/clusters/pacing"
	"github.com/kubevision-io/kubevision/pkg/rawjson"
)

const processingTime = time.Millisecond

// workingSource returns a source, which lists and watches a resource. To simulate processor time, the source sleeps for
// processingTime per object.
func workingSource(cluster Cluster, resource string, p *pace) *source {
	return &source{
		cluster: cluster, resource: core(resource), kind: podKind, pace: p,
		beforeList: func() {}, late: func() {}, noted: func(error) {}, countMemory: func(int64) error { return nil },
		keep: func(o *Object, _ bool) (*Object, error) {
			time.Sleep(processingTime)
			return o, nil
		},
	}
}

// endlessCluster returns a cluster whose lists contain the given number of objects. Each watch of the cluster sends
// events without end.
func endlessCluster(objects int) *scriptedCluster {
	return &scriptedCluster{write: func(w io.Writer, isWatch bool) {
		if !isWatch {
			object := `{"metadata":{"name":"o"}}`
			_, _ = io.WriteString(w, `{"items":[`+strings.Repeat(object+",", objects-1)+object+`]}`)
			return
		}
		event := `{"type":"MODIFIED","object":{"metadata":{"name":"o"}}}` + "\n"
		var err error
		for err == nil {
			_, err = io.WriteString(w, strings.Repeat(event, 100))
		}
	}}
}

// TestProcessorTime verifies that the lists and watches of one cluster together use at most the fraction workShare of
// one processor. A burst of up to workBurst of processor time is not delayed.
func TestProcessorTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const objects = int(workBurst / processingTime)
		f, p := endlessCluster(objects), newPace()
		began := time.Now()
		if _, err := workingSource(f, "a", p).ListWithContext(t.Context(), metav1.ListOptions{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > workBurst+time.Second {
			t.Errorf("a list within the burst takes %s", took)
		}
		began = time.Now()
		w, err := workingSource(f, "b", p).WatchWithContext(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for range objects {
			<-w.ResultChan()
		}
		// The work itself takes workBurst. In the meantime, and during the list, a part of the time is available again.
		took, want := time.Since(began), time.Duration(float64(workBurst)/workShare)-workBurst
		if took < want*9/10 || took > want*11/10 {
			t.Errorf("%d events take %s, want %s", objects, took, want)
		}
		w.Stop()
		for range w.ResultChan() {
		}
	})
}

// TestWorkOfStores verifies that the time for changing a cached object counts toward the limit of processor time for
// the data of one cluster.
func TestWorkOfStores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{limit: 1 << 20}
		s := pacedStore{store: &store{account: &account{pool: p}}, pace: newPace()}
		s.subscriptions = map[*Subscription]bool{{deliver: func(Changes) { time.Sleep(processingTime) }}: true}
		o := testObject("n", "o", 1)
		for name, change := range map[string]func() error{
			"replace": func() error { return s.Replace([]any{o}, "1") },
			"add":     func() error { return s.Add(o) },
			"update":  func() error { return s.Update(o) },
			"delete":  func() error { return s.Delete(o) },
		} {
			if err := s.store.Replace([]any{o}, "1"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(workBurst)
			if !s.pace.work.IsIdle() {
				t.Errorf("%s: the pace is not idle before", name)
			}
			if err := change(); err != nil || s.pace.work.IsIdle() {
				t.Errorf("%s: %v, the time is counted: %t", name, err, !s.pace.work.IsIdle())
			}
		}
	})
}

// TestWorkOfSubscribers verifies that the time for delivering an event counts toward the limit of processor time for
// the data of one cluster.
func TestWorkOfSubscribers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		f := &scriptedCluster{write: func(w io.Writer, isWatch bool) {
			text := `{"metadata":{"resourceVersion":"1"},"items":[]}`
			if isWatch {
				text = `{"type":"ADDED","object":{"metadata":{"name":"o","resourceVersion":"2"}}}` + "\n"
			}
			_, _ = io.WriteString(w, text)
		}}
		delivered := make(chan struct{})
		_, _, ok := c.Subscribe(t.Context(), f, core("a"), "Kind", func(Changes) {
			time.Sleep(time.Second)
			close(delivered)
		})
		if !ok {
			t.Fatal("it is not cached")
		}
		<-delivered
		time.Sleep(2 * time.Second)
		if c.paces[f].work.IsIdle() {
			t.Error("the time is not counted")
		}
		time.Sleep(2 * time.Second)
		if !c.paces[f].work.IsIdle() {
			t.Error("more time is counted")
		}
		stopAll(c)
	})
}

// compressedCluster is a fake API server that compresses each response. The server rejects a request if the caller did
// not set the header Accept-Encoding. For such a request, a real http.Transport would decompress the response.
type compressedCluster struct{ emptyCluster }

func (c *compressedCluster) Reader(context.Context) (rest.Interface, error) {
	return rest.UnversionedRESTClientForConfigAndClient(&rest.Config{
		Host: "http://cluster", QPS: -1,
		ContentConfig: rest.ContentConfig{NegotiatedSerializer: scheme.Codecs.WithoutConversion()},
	}, &http.Client{Transport: c})
}

// RoundTrip implements http.RoundTripper.
func (c *compressedCluster) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.emptyCluster.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if r.Header.Get("Accept-Encoding") != pacing.AcceptEncoding {
		return nil, errors.New("the transport would decompress the response")
	}
	reader, writer := io.Pipe()
	plain := response.Body
	go func() {
		packed := gzip.NewWriter(writer)
		_, err := io.Copy(packed, plain)
		_ = writer.CloseWithError(errors.Join(err, packed.Close()))
	}()
	response.Body = reader
	return response, nil
}

// TestCompressedLists verifies that the cache decompresses responses itself. The decompression then counts toward the
// limit of processor time for the data of one cluster.
func TestCompressedLists(t *testing.T) {
	c, f := runCache(t, 1<<20), &compressedCluster{}
	if v, ok := c.Get(t.Context(), f, core("a"), "Kind", "u"); !ok || v.Count != 0 {
		t.Errorf("cached: %t", ok)
	}
}

// TestPaceOfDroppedKinds verifies that the cache keeps the rate limits of a cluster after all kinds of the cluster were
// dropped. Otherwise, the cluster could use another burst of processor time at once. The cache deletes the rate
// limits when the full burst is available again.
func TestPaceOfDroppedKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, f := New(1<<20), endlessCluster(1)
		paceOf := func(cluster Cluster) *pace {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.paceOf(cluster)
		}
		before := paceOf(f)
		before.work.Count(workBurst)
		if paceOf(endlessCluster(1)) == before {
			t.Error("two clusters have the same pace")
		}
		c.sweep(time.Now())
		if paceOf(f) != before {
			t.Error("a cluster without kinds has a new pace after much work")
		}
		time.Sleep(time.Duration(float64(workBurst) / workShare))
		before.events.AllowN(time.Now(), eventBurst)
		c.sweep(time.Now())
		if paceOf(f) != before {
			t.Error("a cluster without kinds has a new pace after many events")
		}
		c.kinds[kindKey{f, core("a")}] = nil
		time.Sleep(time.Duration(float64(workBurst) / workShare))
		c.dropIdlePaces()
		if paceOf(f) != before {
			t.Error("the pace of a cluster with kinds was dropped")
		}
		clear(c.kinds)
		c.sweep(time.Now())
		if len(c.paces) > 0 {
			t.Errorf("%d paces are kept", len(c.paces))
		}
	})
}

// TestLargeFields verifies that the total size of all fields of a list except "items" is limited.
func TestLargeFields(t *testing.T) {
	field, item := `"x":0,`, `{"metadata":{"name":"a"},"x":"`+strings.Repeat("x", maxFieldBytes)+`"}`
	fields := strings.Repeat(field, maxFieldBytes/len(field)+1)
	few, half := strings.Repeat(field, maxFieldBytes/len(field)/4), strings.Repeat(field, maxFieldBytes/len(field)/2+1)
	for name, tc := range map[string]struct {
		text string
		want error
	}{
		"large items":             {few + `"items":[` + item + `,` + item + `],` + few + `"y":0`, nil},
		"fields before the items": {fields + `"items":[]`, errLargeFields},
		"fields after the items":  {`"items":[` + item + `],` + fields + `"y":0`, errLargeFields},
		"fields on both sides":    {half + `"items":[` + item + `],` + half + `"y":0`, errLargeFields},
		"large metadata": {`"metadata":{"x":"` + strings.Repeat("x", maxFieldBytes) + `"},"items":[]`,
			errLargeFields},
		"white space":    {strings.Repeat(" ", maxFieldBytes) + `"x":0,"items":[]`, errLargeFields},
		"repeated items": {strings.Repeat(`"items":[],`, 2) + `"x":0`, rawjson.ErrSyntax},
	} {
		s := &source{
			kind: podKind, noted: func(error) {}, countMemory: func(int64) error { return nil },
			keep: func(o *Object, _ bool) (*Object, error) { return o, nil },
		}
		if _, err := s.read(strings.NewReader("{" + tc.text + "}")); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// TestPaddedEvents verifies that the size of a bookmark is limited. The size of the blank lines between two watch
// events must be limited, too.
func TestPaddedEvents(t *testing.T) {
	const bookmark = `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}`
	pad := func(size int) string { return strings.Repeat(" ", size) }
	for name, tc := range map[string]struct {
		text string
		want error
	}{
		"a padded bookmark": {pad(maxControlBytes-len(bookmark)-1) + bookmark, nil},
		"a large bookmark":  {pad(maxControlBytes-len(bookmark)) + bookmark, errTooLarge},
		"a blank line":      {pad(maxControlBytes-1) + "\n" + bookmark, nil},
		"a long blank line": {pad(maxControlBytes) + "\n" + bookmark, rawjson.ErrSyntax},
		"blank lines":       {strings.Repeat("\n", maxControlBytes) + bookmark, nil},
		"many blank lines":  {strings.Repeat("\n", maxControlBytes+1) + bookmark, errTooLarge},
		"endless blank lines": {strings.Repeat(strings.Repeat(" ", readBytes/2)+"\n", 10) + bookmark,
			errTooLarge},
	} {
		d := newDecoder(io.NopCloser(strings.NewReader(tc.text+"\n"+bookmark+"\n")), podKind)
		_, o, err := d.next()
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
		if control, ok := o.(*Object); err == nil && (!ok || control.ResourceVersion != "7") {
			t.Errorf("%s: the event contains %v", name, o)
		}
		if _, _, err = d.next(); tc.want == nil && err != nil {
			t.Errorf("%s: the next event: %v", name, err)
		}
	}
}
