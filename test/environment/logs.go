// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package environment

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Logs returns the current logs of KubeVision's programs by the names of their files.
func (e *Environment) Logs(tb testing.TB) map[string][]byte {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(e.Cluster.Dir(), "logs", "kubevision-*.log"))
	if err != nil || len(paths) < 2 { //nolint:mnd // both programs
		tb.Fatalf("the logs are %v (%v)", paths, err)
	}
	out := map[string][]byte{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		out[filepath.Base(path)] = text
	}
	return out
}

// credential matches a signed token, or the first or last line of a private key in PEM format.
var credential = regexp.MustCompile(`eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{20,}|PRIVATE KEY-{5}`)

// FindCredential searches a log for signed tokens and private keys. It returns the beginning of the first line that
// contains one, or an empty string if there is none.
func FindCredential(log []byte) string {
	const shown = 200
	found := credential.FindIndex(log)
	if found == nil {
		return ""
	}
	line := log[bytes.LastIndexByte(log[:found[0]], '\n')+1:]
	return string(line[:min(len(line), shown)])
}
