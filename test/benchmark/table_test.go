// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

type table struct {
	text *tabwriter.Writer
}

type measurement struct {
	objects  int
	question string
	clients  int
}

func newTable() *table { return newTableTo(os.Stdout) }

func newTableTo(w io.Writer) *table {
	const padding = 2
	t := &table{text: tabwriter.NewWriter(w, 0, 0, padding, ' ', tabwriter.AlignRight)}
	t.line("objects", "read", "clients", "answer", "/s", "of limit", "of kube", "p50 ms", "p99 ms", "CPU ms", "KiB",
		"refused")
	return t
}

func (t *table) line(cells ...any) {
	for _, cell := range cells {
		_, _ = fmt.Fprintf(t.text, "%v\t", cell)
	}
	_, _ = fmt.Fprintln(t.text)
}

// add adds one line of results for each of the servers.
func (t *table) add(m measurement, servers []*contender) {
	for _, c := range servers {
		limit, kube := "", ""
		if servers[0].name == "limit" { // the first is Go's file server, and the second is kube-apiserver
			limit = fmt.Sprintf("%.2f", c.rate()/servers[0].rate())
			kube = fmt.Sprintf("%.1f", c.rate()/servers[1].rate())
		}
		answers := max(len(c.took), 1)
		t.line(m.objects, m.question, m.clients, c.name, fmt.Sprintf("%.1f", c.rate()), limit, kube,
			fmt.Sprintf("%.2f", milliseconds(c.took.percentile(50))),
			fmt.Sprintf("%.2f", milliseconds(c.took.percentile(99))),
			fmt.Sprintf("%.2f", milliseconds(c.cpu)/float64(answers+c.refused)), c.bytes/int64(answers)>>10, c.refused)
	}
}

func (t *table) print() { _ = t.text.Flush() }
