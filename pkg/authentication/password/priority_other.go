// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package password

// lowerPriority has an effect only on Linux.
func lowerPriority(int) error { return nil }
