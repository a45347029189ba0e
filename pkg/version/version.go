// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version says which KubeVision a program was built from.
package version

import "fmt"

// The linker sets these; a program that was built without it says so.
var (
	version = "unreleased"
	commit  = "unknown" //nolint:gochecknoglobals // set by the linker
	date    = "unknown" //nolint:gochecknoglobals // set by the linker
)

// String is the version, the commit and the time of the build.
func String() string { return fmt.Sprintf("%s (commit %s, built %s)", version, commit, date) }
