// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package containerlogs

import (
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

const stamp = "2026-01-02T03:04:05.000000006Z "

func readAll(t *testing.T, text string) []Line {
	t.Helper()
	reader := newLineReader(strings.NewReader(text))
	var out []Line
	for {
		line, err := reader.next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, line)
	}
}

// TestLines verifies that long log lines are truncated, and that invalid UTF-8 is replaced. Other text, such as escape
// sequences, must not change.
func TestLines(t *testing.T) {
	const escape = "\x1b[31mred\x1b[0m \r\b<script>"
	for name, test := range map[string]struct {
		in, want string
		cut      bool
	}{
		"plain":             {"hello", "hello", false},
		"empty":             {"", "", false},
		"escapes":           {escape, escape, false},
		"invalid":           {"a\xffb\x00c", "a\uFFFDb\x00c", false},
		"longest":           {strings.Repeat("x", maxLine), strings.Repeat("x", maxLine), false},
		"too long":          {strings.Repeat("x", maxLine+1), strings.Repeat("x", maxLine), true},
		"cut in a rune":     {strings.Repeat("x", maxLine-1) + "ü", strings.Repeat("x", maxLine-1), true},
		"many buffers long": {strings.Repeat("y", 10*maxLine), strings.Repeat("y", maxLine), true},
	} {
		t.Run(name, func(t *testing.T) {
			got := readAll(t, stamp+test.in+"\n"+stamp+"next\n")
			if len(got) != 2 || got[0].Text != test.want || got[0].Cut != test.cut || got[1].Text != "next" {
				t.Errorf("got %d lines, the first with %d bytes, cut: %v", len(got), len(got[0].Text), got[0].Cut)
			}
			if got[0].Time+" " != stamp || !utf8.ValidString(got[0].Text) {
				t.Errorf("time %q", got[0].Time)
			}
		})
	}
}

// TestLineWithoutEndOrTime verifies that a log line without a timestamp and a log line without a line feed are read
// completely.
func TestLineWithoutEndOrTime(t *testing.T) {
	got := readAll(t, "no time at all\n"+stamp+"no end")
	if len(got) != 2 || got[0].Text != "no time at all" || got[0].Time != "" || got[1].Text != "no end" {
		t.Errorf("got %+v", got)
	}
}

func FuzzLine(f *testing.F) {
	f.Add([]byte(stamp + "text\n"))
	f.Add([]byte("\xff\xfe\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, line := range readAll(t, string(in)) {
			if !utf8.ValidString(line.Text) || len(line.Text) > 3*maxLine || strings.Contains(line.Text, "\n") {
				t.Errorf("line %q", line.Text)
			}
			if frame := encode((&granted{selection: &selection{}}).frame(event{line: line})); !utf8.Valid(frame) {
				t.Errorf("frame %q", frame)
			}
		}
	})
}

// TestContinuesAfterTheLastLine verifies that each log line is emitted once if a log is requested several times. In the
// test, each response of kube-apiserver repeats the earlier lines, and two different lines have the same timestamp.
func TestContinuesAfterTheLastLine(t *testing.T) {
	const (
		before = "2026-01-02T03:04:05.1Z "
		first  = "2026-01-02T03:04:05.2Z "
		second = "2026-01-02T03:04:05.2Z "
		after  = "2026-01-02T03:04:05.3Z "
	)
	s := &source{options: options{follow: true, tail: -1}}
	var got []string
	emit := func(line Line) error { got = append(got, line.Text); return nil }
	for _, text := range []string{
		before + "a\n" + first + "b\n",
		before + "a\n" + first + "b\n" + second + "c\n",
		before + "a\n" + first + "b\n" + second + "c\n" + after + "d\n",
	} {
		if _, err := s.emitNew(io.NopCloser(strings.NewReader(text)), emit); err != nil {
			t.Fatal(err)
		}
	}
	if all := strings.Join(got, ""); all != "abcd" {
		t.Errorf("got %q", all)
	}
}

func TestMergeByTime(t *testing.T) {
	texts := []string{
		"2026-01-02T03:04:01Z a\n2026-01-02T03:04:04Z d\n",
		"2026-01-02T03:04:02Z b\n2026-01-02T03:04:03Z c\n2026-01-02T03:04:05Z e\n",
		"",
	}
	var sources []*source
	var opened []io.ReadCloser
	for i, text := range texts {
		sources = append(sources, &source{pod: string(rune('x' + i)), options: options{tail: -1}})
		opened = append(opened, io.NopCloser(strings.NewReader(text)))
	}
	var got strings.Builder
	err := byTime(sources, opened, func(e event) error {
		got.WriteString(e.line.Pod + e.line.Text + " ")
		return nil
	})
	if err != nil || got.String() != "xa yb yc xd ye " {
		t.Errorf("got %q (%v)", got.String(), err)
	}
}

// TestIsOver verifies that isOver returns true only for containers that will not run again.
func TestIsOver(t *testing.T) {
	for name, test := range map[string]struct {
		in   string
		want bool
	}{
		"running": {`{"spec":{"restartPolicy":"Always"},
			"status":{"containerStatuses":[{"name":"c","state":{"running":{}}}]}}`, false},
		"restarts": {`{"spec":{"restartPolicy":"Always"},
			"status":{"containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":0}}}]}}`, false},
		"never": {`{"spec":{"restartPolicy":"Never"},
			"status":{"containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":1}}}]}}`, true},
		"on failure": {`{"spec":{"restartPolicy":"OnFailure"},
			"status":{"containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":1}}}]}}`, false},
		"success": {`{"spec":{"restartPolicy":"OnFailure"},
			"status":{"containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":0}}}]}}`, true},
		"another container": {`{"spec":{"restartPolicy":"Never"},
			"status":{"containerStatuses":[{"name":"d","state":{"terminated":{"exitCode":0}}}]}}`, false},
		"ephemeral container": {`{"spec":{"restartPolicy":"Always"},
			"status":{"ephemeralContainerStatuses":[{"name":"c","state":{"terminated":{"exitCode":0}}}]}}`, true},
		"init container": {`{"spec":{"restartPolicy":"Always"},
			"status":{"initContainerStatuses":[{"name":"c","state":{"terminated":{"exitCode":0}}}]}}`, true},
		"init will repeat": {`{"spec":{"restartPolicy":"Always"},
			"status":{"initContainerStatuses":[{"name":"c","state":{"terminated":{"exitCode":1}}}]}}`, false},
		"failed pod": {`{"status":{"phase":"Failed"}}`, true},
		"pod that is removed": {`{"metadata":{"deletionTimestamp":"2026-01-02T03:04:05Z"},
			"spec":{"restartPolicy":"Always"},
			"status":{"containerStatuses":[{"name":"c","state":{"terminated":{"exitCode":0}}}]}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := decodePod(strings.NewReader(test.in), nil)
			if err != nil || p.isOver("c") != test.want {
				t.Errorf("over: %v (%v)", !test.want, err)
			}
		})
	}
}

// TestHostilePod verifies that a Pod whose JSON has many empty elements is rejected before it is decoded. Empty
// elements are small in JSON, but need much memory after decoding.
func TestHostilePod(t *testing.T) {
	text := `{"status":{"containerStatuses":[{}` + strings.Repeat(",{}", 900_000) + `]}}`
	total := budget.New(64 << 20)
	account := total.Account("jane", 0)
	defer account.Close()
	_, err := decodePod(strings.NewReader(text), account)
	if envelope.As(err).Code != dashboardv1alpha1.CodeTooManyRequests {
		t.Errorf("the error is %v", err)
	}
	if _, err := decodePod(strings.NewReader(`{"metadata":{"name":"web"}}`), account); err != nil {
		t.Error(err)
	}
	account.Close()
	if used := total.Used(); used != 0 {
		t.Errorf("%d bytes are still taken", used)
	}
}
