// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version returns the version of KubeVision from which the program was built.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"

	apimachineryversion "k8s.io/apimachinery/pkg/version"
)

const unknown = "unknown"

// The linker sets these variables in releases. If version is empty, Info uses the build information that Go records.
var (
	version string
	commit  string //nolint:gochecknoglobals // set by the linker
	date    string //nolint:gochecknoglobals // set by the linker
)

// Info returns the version in the format of the Kubernetes endpoint /version.
func Info() apimachineryversion.Info {
	out := apimachineryversion.Info{
		GitVersion: version, GitCommit: commit, BuildDate: date,
		GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if out.GitVersion == "" {
		readBuildInfo(&out)
	}
	for _, field := range []*string{&out.GitVersion, &out.GitCommit, &out.BuildDate} {
		if *field == "" {
			*field = unknown
		}
	}
	return out
}

// readBuildInfo sets the version, the commit and the commit time from the build information of Go.
func readBuildInfo(out *apimachineryversion.Info) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	out.GitVersion = info.Main.Version
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			out.GitCommit = setting.Value
		case "vcs.time":
			out.BuildDate = setting.Value
		}
	}
}

// String returns the version, the commit and the time of the build.
func String() string {
	info := Info()
	return fmt.Sprintf("%s (commit %s, built %s)", info.GitVersion, info.GitCommit, info.BuildDate)
}
