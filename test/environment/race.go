// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build race

package environment

// raceEnabled is true if the tests are built with the race detector.
const raceEnabled = true
