// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package readcache

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

func benchPod(n int) []byte {
	var fields strings.Builder
	for i := range 40 {
		fmt.Fprintf(&fields, `"f:field%d":{"f:name":{},"f:value":{".":{},"k:{\"uid\":\"x\"}":{}}},`, i)
	}
	return fmt.Appendf(
		nil,
		`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"pod-%05d","namespace":"crowd-%d","uid":"0e1f2a3b-%08d",`+
			`"resourceVersion":"%d","creationTimestamp":"2026-11-26T09:00:00Z","labels":{"app":"app-%d",`+
			`"pod-template-hash":"5d4f8c7b9"},`+
			`"annotations":{"example.com/note":"%s"},"managedFields":[{"manager":"kubectl","operation":"Update",`+
			`"fieldsV1":{%s"last":{}}}]},`+
			`"spec":{"containers":[{"name":"main","image":"registry.example.com/team/app:1.2.3",`+
			`"args":["--listen=:8080"],"env":[%s{"name":"B"}],`+
			`"resources":{"requests":{"cpu":"100m"}}}],"nodeName":"node-%d",`+
			`"tolerations":[{"key":"node.kubernetes.io/not-ready","effect":"NoExecute"}]},`+
			`"status":{"phase":"Running","conditions":[%s{"type":"Ready","status":"True"}],"podIP":"10.0.0.%d"}}`,
		n,
		n%50,
		n,
		n,
		n%100,
		strings.Repeat("x", 500),
		fields.String(),
		strings.Repeat(`{"name":"A","value":"some text"},`, 20),
		n%100,
		strings.Repeat(`{"type":"Initialized","status":"True","lastTransitionTime":"2026-11-26T09:00:00Z"},`, 5),
		n%250,
	)
}

func BenchmarkParse(b *testing.B) {
	pod := benchPod(1)
	b.SetBytes(int64(len(pod)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse(pod, podKind); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode measures encoding/json with the object of BenchmarkParse, for comparison.
func BenchmarkDecode(b *testing.B) {
	pod := benchPod(1)
	b.SetBytes(int64(len(pod)))
	for b.Loop() {
		var o map[string]json.RawMessage
		if err := json.Unmarshal(pod, &o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompress(b *testing.B) {
	var objects []*Object
	for n := range groupSize {
		o, err := parse(benchPod(n), podKind)
		if err != nil {
			b.Fatal(err)
		}
		objects = append(objects, o)
	}
	var plain int64
	for b.Loop() {
		s := Compress(objects)
		plain = newGroup(objects, nil).Size
		b.ReportMetric(float64(plain)/float64(len(s.Deflated)), "ratio")
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*groupSize), "us/object")
}

// TestMemory verifies that a cached Pod takes at most 1.25 times the memory of its JSON.
func TestMemory(t *testing.T) {
	const pods = 5000
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc) //nolint:gosec // less than 2^63
	}
	p := &pool{limit: 1 << 40}
	s := &store{account: &account{pool: p}}
	before := heap()
	var list []any
	for n := range pods {
		o, err := parse(benchPod(n), podKind)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, o)
	}
	if err := s.Replace(list, "1"); err != nil {
		t.Fatal(err)
	}
	list = nil //nolint:ineffassign,wastedassign // the garbage collector must release the list
	took := heap() - before
	var text int64
	for g := range s.snapshot().Groups.All() {
		text += g.Size + 1
		if err := WriteObjects(io.Discard, g.Objects); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf(
		"%d bytes of JSON each, %.3f times that in memory, %.3f counted",
		text/pods,
		float64(took)/float64(text),
		float64(p.used.Load())/float64(text),
	)
	if took*4 > text*5 {
		t.Errorf("%d Pods of %d bytes take %d", pods, text, took)
	}
	if used := p.used.Load(); used < took*9/10 || used > took*12/10 {
		t.Errorf("%d bytes are counted of %d", used, took)
	}
	runtime.KeepAlive(s)
}

// BenchmarkEvent measures the update of one cached object. The cache contains many namespaces, and one object in each
// namespace.
func BenchmarkEvent(b *testing.B) {
	for _, namespaces := range []int{1_000, 100_000, 500_000} {
		b.Run(fmt.Sprintf("namespaces=%d", namespaces), func(b *testing.B) {
			s := spreadStore(b, namespaces)
			o := testObject(fmt.Sprintf("n%07d", namespaces/2), "o", 2)
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Update(o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
