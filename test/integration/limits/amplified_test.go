// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

func distinctNames(bytes int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	var out strings.Builder
	for i := 0; out.Len() < bytes; i++ {
		n := i
		for range 4 {
			out.WriteByte(letters[n%len(letters)])
			n /= len(letters)
		}
		out.WriteByte(',')
	}
	return out.String()
}

type maker = func(context.Context) (*http.Request, error)

func method(verb string, request maker) maker {
	return func(ctx context.Context) (*http.Request, error) {
		r, err := request(ctx)
		if err == nil {
			r.Method = verb
		}
		return r, err
	}
}

// TestLongURLs verifies that requests with long URLs need no more memory than other requests.
func TestLongURLs(t *testing.T) {
	const long = 900 << 10
	ns := set().Namespace(t, "urls")
	path := "/clusters/" + host + "/namespaces/" + ns + "/resources/configmaps"
	for name, tc := range map[string]struct{ path, bearer string }{
		"clusters":       {path: "/search?q=a&clusters=" + distinctNames(long)},
		"kinds":          {path: "/clusters/" + host + "/search?q=a&kinds=" + distinctNames(long)},
		"label selector": {path: path + "?labelSelector=" + strings.Repeat("a,", long/2) + "a"},
		"field selector": {path: path + "?fieldSelector=" + strings.Repeat("a=b,", long/4) + "a=b"},
		"parameters":     {path: path + "?a" + strings.Repeat("&a", long/2)},
		"segments":       {path: strings.Repeat("/a", long/2)},
		"of strangers":   {path: strings.Repeat("/a", long/2), bearer: "made-up"},
	} {
		t.Run(name, func(t *testing.T) {
			r := replica(t)
			bearer, other := token(t, r, "dev", ns), token(t, r, "dev", ns)
			if tc.bearer != "" {
				bearer = tc.bearer
			}
			flood(t, client(t), 48, get(r.Endpoint(), tc.path, bearer))
			begun := time.Now()
			answered(t, get(r.Endpoint(), path, other))
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("a list after the flood took %s", took.Round(time.Millisecond))
			}
			survives(t, r, mostMiB/2)
		})
	}
}

// TestLongHeaders verifies that the server needs limited memory for unauthenticated requests with long headers.
func TestLongHeaders(t *testing.T) {
	r := replica(t)
	for name, value := range map[string]string{
		"X-Forwarded-For": strings.Repeat(",", 900<<10), "Authorization": "Bearer " + strings.Repeat(".", 900<<10),
	} {
		flood(t, client(t), 48, func(ctx context.Context) (*http.Request, error) {
			request, err := post(r.Endpoint(), "/auth/login", "application/json", "", "{}")(ctx)
			if err != nil {
				return nil, err
			}
			request.Header.Set(name, value)
			return request, nil
		})
		survives(t, r, mostMiB/2)
	}
}

// TestLargePatches verifies that the server needs limited memory when one user sends many large patches at once.
func TestLargePatches(t *testing.T) {
	ns := createConfigMaps(t, "patches", 1, 16)
	path := "/clusters/" + host + "/namespaces/" + ns + "/resources/configmaps/large-0"
	for name, tc := range map[string]struct{ contentType, body string }{
		"JSON patch":  {"application/json-patch+json", "[" + strings.Repeat("{},", bodyBytes/3-100) + "{}]"},
		"merge patch": {"application/merge-patch+json", `{"a":[` + strings.Repeat("{},", bodyBytes/3-100) + "{}]}"},
	} {
		t.Run(name, func(t *testing.T) {
			r := replica(t)
			bearer := token(t, r, "dev", ns)
			flood(t, client(t), 48, method(http.MethodPatch, post(r.Endpoint(), path, tc.contentType, bearer, tc.body)))
			survives(t, r, mostMiB)
		})
	}
}
