// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Command golangci is golangci-lint with the Kubernetes API linter as a module plugin, under the linter name
// "kubeapilinter".
//
// A build of golangci needs only the module proxy, and uses the versions in go.mod. In contrast, "golangci-lint custom"
// would build the same program from a git checkout of golangci-lint.
package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"
	// Registers the kubeapilinter module plugin.
	_ "sigs.k8s.io/kube-api-linter"
)

const golangciModule = "github.com/golangci/golangci-lint/v2"

func main() {
	if err := commands.Execute(buildInfo()); err != nil {
		fmt.Fprintf(os.Stderr, "golangci-lint: %v\n", err)
		os.Exit(exitcodes.Failure)
	}
}

// buildInfo returns the version of the golangci-lint module in this build, so that "golangci-lint version" names the
// linter rather than this wrapper.
func buildInfo() commands.BuildInfo {
	info := commands.BuildInfo{GoVersion: "unknown", Version: "unknown", Commit: "?", Date: "(unknown)"}

	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}

	info.GoVersion = build.GoVersion

	for _, dep := range build.Deps {
		if dep.Path == golangciModule {
			info.Version = strings.TrimPrefix(dep.Version, "v")
			info.Commit = fmt.Sprintf("(mod sum: %q)", dep.Sum)
		}
	}

	return info
}
