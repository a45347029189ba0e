// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package environment

const raceEnabled = false
