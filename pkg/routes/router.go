// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"net/http"
	"slices"
	"strings"
)

// serveFunc serves a request to a route. pathValues maps the names of the path parameters to their values.
type serveFunc func(w http.ResponseWriter, r *http.Request, pathValues map[string]string)

// node is a node in the tree of the path segments of all routes. A path may match several routes. At the first segment
// in which these routes differ, a literal has precedence over a parameter.
type node struct {
	literals  map[string]*node
	parameter *node
	// leaves contains the routes whose path ends at this node, by HTTP method.
	leaves map[string]*leaf
}

// leaf is a route in the tree of path segments. It belongs to the node for the last segment of the path.
type leaf struct {
	// names contains the names of the path parameters, in the order of the path.
	names []string
	serve serveFunc
}

// add adds a route with an HTTP method and a path below n.
func (n *node) add(method, path string, serve serveFunc) {
	for _, segment := range segments(path) {
		if isParameter(segment) {
			if n.parameter == nil {
				n.parameter = &node{}
			}
			n = n.parameter
			continue
		}
		next := n.literals[segment]
		if next == nil {
			next = &node{}
			if n.literals == nil {
				n.literals = map[string]*node{}
			}
			n.literals[segment] = next
		}
		n = next
	}
	if n.leaves == nil {
		n.leaves = map[string]*leaf{}
	}
	n.leaves[method] = &leaf{names: pathParameters(path), serve: serve}
}

// find returns the route for a path relative to n, and the values of the path parameters. It returns nil if no route
// matches. A relative path has no leading slash. A path with a leading slash matches no route.
func (n *node) find(method, path string, previousValues []string) (*leaf, []string) {
	segment, rest, more := strings.Cut(path, "/")
	if segment == "" {
		return nil, nil
	}
	next := func(child *node, values []string) (*leaf, []string) {
		switch {
		case child == nil:
			return nil, nil
		case more:
			return child.find(method, rest, values)
		default:
			return child.leaves[method], values
		}
	}
	if found, out := next(n.literals[segment], previousValues); found != nil {
		return found, out
	}
	return next(n.parameter, append(slices.Clip(previousValues), segment))
}

// Handler returns a handler that serves the requests that match a route. It passes all other requests to next. Routes
// that are added later are not served. The handler replaces the router of go-restful, because that router would compare
// each request with every route.
func (t *Table) Handler(next http.Handler) http.Handler {
	root := &node{}
	for _, r := range t.routes {
		root.add(r.Method, r.Path, t.serve(r))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		below, _ := BelowRoot(r.URL.Path)
		path, ok := strings.CutPrefix(below, "/")
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		found, values := root.find(r.Method, path, nil)
		if found == nil {
			next.ServeHTTP(w, r)
			return
		}
		parameters := make(map[string]string, len(values))
		for i, name := range found.names {
			// The endpoints may keep a value for longer than the request. Without a copy, it would keep the whole URL.
			parameters[name] = strings.Clone(values[i])
		}
		found.serve(w, r, parameters)
	})
}
