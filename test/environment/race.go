// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build race

package environment

// RaceEnabled says whether the programs are built with the race detector, which takes several times the memory.
const RaceEnabled = true
