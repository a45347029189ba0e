// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package pages

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type kind int

const (
	// data marks a documentation block that is not run, such as a JSON document or a diagram.
	data kind = iota
	// script marks a documentation block that contains commands, but not the output of the commands.
	script
	// session marks a documentation block that contains commands and the output of the commands. Each command has the
	// prefix "$ ".
	session
	// manifest marks a documentation block that contains Kubernetes objects in YAML. The test applies the objects.
	manifest
)

// block is an indented or fenced block of a documentation page.
type block struct {
	line int
	kind kind
	text string
	// skipped is the reason why the block is not run. It is empty for a block that is run.
	skipped string
}

type step struct {
	command string
	// output is the output that the documentation page shows.
	output string
	shown  bool
	// codes are the expected codes of the responses.
	codes []string
}

var (
	notRun = regexp.MustCompile(`^<!-- not run: (.+) -->$`)
	field  = regexp.MustCompile(`^[A-Za-z]+:`)
)

// parse returns the blocks of a documentation page. The comment "<!-- not run: reason -->" before a block contains the
// reason why the block is not run.
func parse(page string) []block {
	var out []block
	var reason string
	var fenced bool
	gap := -1 // the number of empty lines since the last line of a block, or -1 if other text follows it
	for i, line := range strings.Split(page, "\n") {
		code, inBlock := strings.CutPrefix(line, "    ")
		if fenced {
			code, inBlock = line, true
		}
		switch m := notRun.FindStringSubmatch(line); {
		case m != nil:
			reason, gap = m[1], -1
		case strings.HasPrefix(line, "```"):
			fenced, gap = !fenced, -1
		case !inBlock && line == "" && gap >= 0:
			gap++
		case !inBlock:
			gap = -1
		case gap < 0, gap > 0 && startsBlock(code):
			out = append(out, block{line: i + 1, text: code + "\n", skipped: reason})
			reason, gap = "", 0
		default:
			out[len(out)-1].text += strings.Repeat("\n", gap) + code + "\n"
			gap = 0
		}
	}
	for i := range out {
		out[i].kind = kindOf(out[i].text)
	}
	return out
}

func startsBlock(line string) bool {
	return strings.HasPrefix(line, "$ ") || strings.HasPrefix(line, "apiVersion:")
}

func kindOf(text string) kind {
	switch {
	case strings.HasPrefix(text, "$ "):
		return session
	case strings.HasPrefix(text, "apiVersion:"):
		return manifest
	case strings.ContainsRune(`{["/`, rune(text[0])), field.MatchString(text):
		return data
	case strings.HasPrefix(text, "flowchart "), strings.HasPrefix(text, "sequenceDiagram"):
		return data
	default:
		return script
	}
}

func (b block) steps() []step {
	switch b.kind {
	case manifest:
		return []step{{command: "kubectl apply --server-side -f - <<'MANIFEST'\n" + b.text + "MANIFEST\n"}}
	case script:
		return []step{scriptStep(b.text)}
	case session:
		var out []step
		for entry := range strings.SplitSeq(strings.TrimPrefix(b.text, "$ "), "\n$ ") {
			lines := strings.Split(strings.TrimSuffix(entry, "\n"), "\n")
			last := lastOfCommand(lines)
			out = append(out, step{
				command: strings.Join(lines[:last+1], "\n"), output: strings.Join(lines[last+1:], "\n"), shown: true,
			})
		}
		return out
	default:
		return nil
	}
}

// lastOfCommand returns the index of the last line of the first command in lines.
func lastOfCommand(lines []string) int {
	last := 0
	for last < len(lines)-1 && strings.HasSuffix(lines[last], `\`) {
		last++
	}
	if _, word, found := strings.Cut(lines[last], "<<"); found && !strings.HasPrefix(word, "<") {
		end := strings.Trim(strings.Fields(word)[0], "'\"")
		for last < len(lines)-1 && lines[last] != end {
			last++
		}
	}
	return last
}

func TestParse(t *testing.T) {
	const page = "Text.\n\n    $ kubectl get \\\n        kvu\n    NAME\n    alice\n    $ cat <<X\n    a\n    X\n    " +
		"a\n\n" +
		"More:\n\n    $ two\n    A\n\n    B\n\n<!-- not run: it takes an hour -->\n\n    make " +
		"everything\n\n```yaml\napiVersion: v1\nkind: Namespace\n```\n\n    {\"code\": 0}\n"
	var got []string
	for _, b := range parse(page) {
		text := fmt.Sprint(b.line, " ", b.skipped)
		for _, s := range b.steps() {
			text += fmt.Sprintf("|%s|%s", s.command, s.output) //nolint:perfsprint // few
		}
		got = append(got, text)
	}
	want := []string{
		"3 |kubectl get \\\n    kvu|NAME\nalice|cat <<X\na\nX|a",
		"14 |two|A\n\nB",
		"21 it takes an hour|make everything\n|",
		"24 |kubectl apply --server-side -f - <<'MANIFEST'\napiVersion: v1\nkind: Namespace\nMANIFEST\n|",
		"28 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
