// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package environment

// RaceEnabled is true if the programs are built with the race detector, which needs several times the memory.
const RaceEnabled = false
