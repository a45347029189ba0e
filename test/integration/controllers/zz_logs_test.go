// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestProgramsLackNoRight verifies that no call of KubeVision's programs was forbidden during the earlier tests. It
// searches the logs of the programs for the word "forbidden".
func TestProgramsLackNoRight(t *testing.T) {
	for _, file := range logFiles(t) {
		seen := map[string]bool{}
		for line := range strings.Lines(logText(t, file)) {
			lower := strings.ToLower(line)
			if !strings.Contains(lower, "forbidden") || strings.Contains(lower, "because it is being terminated") ||
				strings.Contains(line, "ValidatingAdmissionPolicy 'refuse-") { // the policy belongs to a test
				continue
			}
			_, what, _ := strings.Cut(line, "forbidden")
			what, _, _ = strings.Cut(what, " event=")
			if !seen[what] {
				seen[what] = true
				t.Errorf("%s: %.600s", filepath.Base(file), line)
			}
		}
	}
}
