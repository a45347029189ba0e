// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"net/http"
	"strings"
)

// Where two routes of a method match a path, the one is meant that has a literal at the first segment at which they differ. The router would
// count literals, and take PUT /namespaces/n/resources/configmaps/scale for /namespaces/{namespace}/{resource}/{name}/scale as well as for
// an object that is named scale: the object is meant.

// stronger are the routes that come before r for paths that both match.
func (t *Table) stronger(r Route) [][]string {
	mine := segments(r.Path)
	var out [][]string
	for _, o := range t.routes {
		if theirs := segments(o.Path); o.Method == r.Method && precedes(theirs, mine) {
			out = append(out, theirs)
		}
	}
	return out
}

// meant says whether a request is for a route that those come before.
func meant(stronger [][]string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		below, ok := BelowRoot(r.URL.Path)
		if !ok {
			return true
		}
		path := segments(below)
		for _, route := range stronger {
			if matches(route, path) {
				return false
			}
		}
		return true
	}
}

func segments(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

func isParameter(segment string) bool { return strings.HasPrefix(segment, "{") }

// precedes says whether there are paths that both routes match, and a is meant by them.
func precedes(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	decided, first := false, false
	for i := range a {
		switch literal := !isParameter(a[i]); {
		case literal && !isParameter(b[i]) && a[i] != b[i]:
			return false
		case !decided && literal == isParameter(b[i]):
			decided, first = true, literal
		}
	}
	return first
}

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
