// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import "strings"

func segments(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

func isParameter(segment string) bool { return strings.HasPrefix(segment, "{") }

func matches(route, path []string) bool {
	if len(route) != len(path) {
		return false
	}
	for i := range route {
		if !isParameter(route[i]) && route[i] != path[i] {
			return false
		}
	}
	return true
}
