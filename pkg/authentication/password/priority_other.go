// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package password

// lowerPriority does nothing on this platform. On Linux, it adds the given increment to the nice value of the current
// process, so that other processes get more CPU time.
func lowerPriority(int) error { return nil }
