// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func logFiles(tb testing.TB) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(env.KubeVision.ControllerManager().LogFile()),
		"kubevision-*.log"))
	if err != nil || len(files) < 2 {
		tb.Fatalf("the programs' logs are %v (%v)", files, err)
	}
	return files
}

// guard fails the test if the programs have logged a password, a panic or a data race during the test.
func guard(tb testing.TB) {
	tb.Helper()
	begin := map[string]int{}
	for _, file := range logFiles(tb) {
		begin[file] = len(logText(tb, file))
	}
	tb.Cleanup(func() {
		for _, file := range logFiles(tb) {
			for line := range strings.Lines(logText(tb, file)[begin[file]:]) {
				for _, bad := range []string{canary, "DATA RACE", "panic", "Observed a panic"} {
					if strings.Contains(line, bad) {
						tb.Errorf("%s has %q in: %.500s", filepath.Base(file), bad, line)
					}
				}
			}
		}
	})
}

func logText(tb testing.TB, file string) string {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}
