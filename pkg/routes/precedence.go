// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"net/http"
	"strings"
)

// If two routes of a method match a path, the route with a literal in the first differing segment applies. The router
// would count literals, and could not decide whether PUT /namespaces/n/resources/configmaps/scale means
// /namespaces/{namespace}/{resource}/{name}/scale or an object with the name scale. It means the object.

// higherPrecedence returns the routes that take precedence over r for paths that both match.
func (t *Table) higherPrecedence(r Route) [][]string {
	mine := segments(r.Path)
	var out [][]string
	for _, o := range t.routes {
		if theirs := segments(o.Path); o.Method == r.Method && precedes(theirs, mine) {
			out = append(out, theirs)
		}
	}
	return out
}

// noneMatches reports whether no route of higher precedence matches a request.
func noneMatches(stronger [][]string) func(*http.Request) bool {
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

// precedes reports whether both routes match some paths, and a takes precedence for them.
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
