// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pages runs the commands of README.md and of the documentation pages in docs/, in the reading order. It
// compares the output of each command with the output on the page.
package pages

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// shiftVariable is the environment variable with the path of a file. The file contains the total duration, in seconds,
// of the sleep commands that the test has skipped.
const shiftVariable = "PAGES_SHIFT"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "oathtool" {
		os.Exit(runOathtool(os.Args[len(os.Args)-1]))
	}
	os.Exit(m.Run())
}

// runOathtool prints a one-time code, like the program oathtool, and returns the exit status.
func runOathtool(secret string) int {
	text, _ := os.ReadFile(os.Getenv(shiftVariable))
	shift, _ := strconv.Atoi(string(text))
	code, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(shift)*time.Second))
	if err != nil {
		fmt.Fprintln(os.Stderr, "oathtool:", err)
		return 1
	}
	_, _ = fmt.Fprintln(os.Stdout, code)
	return 0
}
