// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

type process struct {
	id int
	// hostname is the name of the Pod of the process.
	hostname string
}

func processes(t *testing.T, program string) []process {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var out []process
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // the process has ended
		}
		name, _, _ := bytes.Cut(line, []byte{0})
		if filepath.Base(string(name)) != program {
			continue
		}
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, process{id: id, hostname: hostnameOf(filepath.Dir(file))})
	}
	return out
}

func hostnameOf(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err != nil {
		return ""
	}
	for variable := range strings.SplitSeq(string(text), "\x00") {
		if name, found := strings.CutPrefix(variable, "HOSTNAME="); found {
			return name
		}
	}
	return ""
}

func (p process) kill(t *testing.T) {
	t.Helper()
	sendSignal(t, p.id, syscall.SIGKILL)
}
