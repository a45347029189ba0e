// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

// blocks are the indented blocks of a page.
func blocks(page string) []string {
	var out []string
	inside := false
	for line := range strings.Lines(page) {
		code, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented && inside:
			out[len(out)-1] += code
		case indented:
			out = append(out, code)
		}
		inside = indented
	}
	return out
}

// applyBlock applies a manifest of a page for the time of the test.
func applyBlock(tb testing.TB, manifest string) {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "block.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		tb.Fatal(err)
	}
	kubectl(tb, "apply", "--server-side", "-f", file)
	tb.Cleanup(func() {
		ctx, cancel := later(tb)
		defer cancel()
		if _, err := env.Cluster.Kubectl(ctx, "delete", "--wait=false", "-f", file); err != nil {
			tb.Error(err)
		}
	})
}

// checkSession runs the commands of a block, each of which must print what the page says.
func checkSession(tb testing.TB, block string) {
	tb.Helper()
	for entry := range strings.SplitSeq(strings.TrimPrefix(block, "$ "), "\n$ ") {
		command, want, _ := strings.Cut(entry, "\n")
		args := strings.Fields(strings.ReplaceAll(command, "'", ""))[1:] // the page quotes for the shell
		eventually(tb, soon, command, func(ctx context.Context) error {
			got, err := env.Cluster.Kubectl(ctx, args...)
			if err != nil && strings.TrimSpace(got) != "no" { // with which it ends in an error
				return err
			}
			if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(got)); diff != "" {
				return errors.New("(-want +got):\n" + diff)
			}
			return nil
		})
	}
}

// TestPageOnAccess does what the page says, and sees what it shows.
func TestPageOnAccess(t *testing.T) {
	guard(t)
	host(t)
	root, err := localcluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "rbac.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, block := range blocks(string(page)) {
		first, _, _ := strings.Cut(block, " ")
		seen[first]++
		switch first {
		case "apiVersion:":
			applyBlock(t, block)
		case "$":
			checkSession(t, block)
		default:
			t.Errorf("a block begins with %q", first)
		}
	}
	if seen["apiVersion:"] != 7 || seen["$"] < 5 {
		t.Errorf("the page has %s", fmt.Sprint(seen))
	}
}
