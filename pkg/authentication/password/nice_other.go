// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package password

import (
	"fmt"
	"os/exec"
)

// startNice starts a command. It ignores the increment, because only Linux has a nice value for each thread.
func startNice(cmd *exec.Cmd, _ int) error {
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	return nil
}
