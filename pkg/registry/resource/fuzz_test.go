// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// blamesRequest fails the test unless an error reports the input of the client as missing or malformed.
func blamesRequest(t *testing.T, sent any, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if code := envelope.As(err).Code; code != 40001 && code != 40002 {
		t.Errorf("%q: code %d: %v", sent, code, err)
	}
}

func FuzzListQuery(f *testing.F) {
	for _, query := range []string{
		"labelSelector=a%3Db,c+in+(d,e)&limit=5", "fieldSelector=status.phase!%3DRunning&continue=x",
		"sortBy=status.phase&order=desc&q=x",
		"limit=-1", "reveal=true", "%zz", "sortBy=..&order=&q=%00",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		_, err := readListOptions(&routes.Request{Request: &http.Request{URL: &url.URL{RawQuery: query}}})
		blamesRequest(t, query, err)
	})
}

func FuzzPatch(f *testing.F) {
	for _, body := range []string{
		`[{"op":"add","path":"/data/a","value":"x"}]`, `[{"op":"move","from":"/a","path":"/b"}]`,
		`{"data":{"a":null}}`, `{"metadata":{"name":"x"}}`, `null`, `[null]`,
	} {
		f.Add([]byte(body), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, secret bool) {
		_, _, err := checkOperations(body, secret)
		blamesRequest(t, body, err)
		of := objectref.Target{Name: "one", Namespace: "default"}
		of.Resource.Kind, of.Resource.GroupVersionResource.Version = "Secret", "v1"
		of.Resource.GroupVersionResource.Resource = "secrets"
		_, _, err = checkMerge(body, of)
		blamesRequest(t, body, err)
	})
}
