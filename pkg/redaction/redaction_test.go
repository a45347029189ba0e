// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package redaction

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

func goesOn() error { return nil }

func redacted(tb testing.TB, text string, values ...string) string {
	tb.Helper()
	r, ok := New(values, goesOn)
	if !ok {
		tb.Fatal("the redactor was not made")
	}
	return r.Text(text, goesOn)
}

func TestText(t *testing.T) {
	const pem = "one\ntwo<"
	for name, tc := range map[string]struct {
		text   string
		values []string
		want   string
	}{
		"several":               {"not hunter2, nor 4711", []string{"hunter2", "4711"}, "not ******, nor ******"},
		"as Go quotes it":       {`nor "one\ntwo<"`, []string{pem}, `nor "******"`},
		"as JSON quotes it":     {`nor "one\ntwo\u003c"`, []string{pem}, `nor "******"`},
		"the longest of three":  {"abcdefgh", []string{"abcd", "abcdef", "abcdefg"}, "******h"},
		"overlapping":           {"x abcdefgh y", []string{"abcdef", "defgh"}, "x ****** y"},
		"side by side":          {"abcdefgh", []string{"abcd", "efgh"}, "******"},
		"all of it":             {"secret", []string{"secret"}, "******"},
		"a placeholder":         {"*** and ******", []string{"access", "******"}, "*** and ******"},
		"a short one in a word": {"access to data", []string{"a", "to_"}, "access to data"},
		"a short one by itself": {`data "a" is not good`, []string{"a"}, General},
		"short and no word":     {"it is *** here", []string{"***"}, General},
		"nothing":               {"all is well", nil, "all is well"},
		"empty":                 {"all is well", []string{""}, "all is well"},
	} {
		if got := redacted(t, tc.text, tc.values...); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// TestPlaceholdersAreNotMatchedAgain verifies that the Redactor does not replace parts of a placeholder that it has
// inserted. Otherwise, a confidential value such as "***" would lengthen the redacted text again and again.
func TestPlaceholdersAreNotMatchedAgain(t *testing.T) {
	values := []string{"access"}
	for n := range 64 {
		values = append(values, strings.Repeat("*", n%10))
	}
	if got := redacted(t, `"access" is refused`, values...); len(got) > MaxText || strings.Contains(got, "access") {
		t.Errorf("%d bytes: %.200q", len(got), got)
	}
}

// TestAValueThatIsCut verifies that a confidential value is redacted completely if it crosses the limit of maxRead
// bytes. Redactor.Text drops the rest of a text after this limit.
func TestAValueThatIsCut(t *testing.T) {
	secret := strings.Repeat("0123456789abcdef", 8)
	for before := maxRead - len(secret) - 2; before <= maxRead; before++ {
		r, _ := New([]string{secret, strings.Repeat(".", 100)}, goesOn)
		if got := r.Text(strings.Repeat(".", before)+secret+"end", goesOn); strings.Contains(got, "0123") {
			t.Fatalf("with %d bytes before it: %q", before, got[max(0, len(got)-200):])
		}
	}
}

// TestTimeIsBounded verifies that many confidential values are redacted in a long text within seconds. The time must
// not grow with the number of values times the length of the text.
func TestTimeIsBounded(t *testing.T) {
	values := make([]string, 0, 3000)
	for n := range 3000 {
		values = append(values, strings.Repeat("a", n+minValue))
	}
	for n := range 100_000 {
		values = append(values, "value-"+strconv.Itoa(n))
	}
	text := strings.Repeat("a", 1<<20)
	start := time.Now()
	if got := redacted(t, text, values...); strings.Contains(got, "aaaa") {
		t.Errorf("a value is shown: %.100q", got)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestTheEndOfTheRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := New([]string{"secret"}, ctx.Err)
	cancel()
	if _, ok := New([]string{"secret"}, ctx.Err); ok {
		t.Error("a redactor was made although nobody waits")
	}
	if got := r.Text("a secret", ctx.Err); got != General {
		t.Errorf("%q is shown of what was not looked at", got)
	}
}

// TestNoValueSurvives verifies that a redacted text contains no confidential value of at least minValue bytes. It also
// verifies that a redacted text has at most MaxText bytes.
func TestNoValueSurvives(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the texts are the same in each run
	word := func(most int) string {
		b := make([]byte, source.IntN(most))
		for i := range b {
			b[i] = "abc\n\""[source.IntN(5)]
		}
		return string(b)
	}
	for range 5000 {
		var values []string
		for range source.IntN(8) {
			values = append(values, word(9))
		}
		checkText(t, word(4)+strings.Join(values, word(3))+word(40), values)
	}
}

func checkText(t *testing.T, text string, values []string) {
	t.Helper()
	got := redacted(t, text, values...)
	if len(got) > MaxText {
		t.Fatalf("%d bytes of %d", len(got), len(text))
	}
	if got == General {
		return
	}
	for _, value := range values {
		if len(value) < minValue || strings.ContainsAny(value, "*.") { // placeholders may contain these characters
			continue
		}
		if strings.Contains(got, value) {
			t.Fatalf("%q is in %q, of %q without %q", value, got, text, values)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("a secret and an other", "secret", "other", "***")
	f.Add(strings.Repeat("x", maxRead-3)+"secret", "secret", "xxxx", "a")
	f.Add("\xff\xfe\xed", "\xff", "\xfe\xed\x00\xff", "")
	f.Fuzz(func(t *testing.T, text, a, b, c string) { checkText(t, text, []string{a, b, c}) })
}

func BenchmarkText(b *testing.B) {
	values := make([]string, 0, 1000)
	for n := range 1000 {
		values = append(values, fmt.Sprintf("a value of the Secret with number %d", n))
	}
	r, _ := New(values, goesOn)
	text := strings.Repeat("what a policy says ", 100)
	for b.Loop() {
		r.Text(text, goesOn)
	}
}
