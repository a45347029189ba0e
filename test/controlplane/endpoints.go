// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// Endpoints serves the API routes that a routes.Provider returns, without the HTTP filters of kubevision-apiserver. The
// responses have no request id.
type Endpoints struct {
	handler http.Handler
}

// NewEndpoints returns an Endpoints that serves the API routes of all providers.
func NewEndpoints(tb testing.TB, providers ...routes.Provider) *Endpoints {
	tb.Helper()
	table := &routes.Table{}
	for _, p := range providers {
		if err := table.Add(p.Routes()...); err != nil {
			tb.Fatal(err)
		}
	}
	return &Endpoints{handler: table.Handler(http.NotFoundHandler())}
}

// Call sends a request as a user, or without a credential if the user is nil. The path is relative to the root of the
// API. The body is encoded as JSON, unless it is nil or a string.
func (e *Endpoints) Call(tb testing.TB, as user.Info, method, path string, body any) wire.Envelope {
	tb.Helper()
	text, isText := body.(string)
	if body != nil && !isText {
		encoded, err := json.Marshal(body)
		if err != nil {
			tb.Fatal(err)
		}
		text = string(encoded)
	}
	ctx := tb.Context()
	if as != nil {
		ctx = genericapirequest.WithUser(ctx, as)
	}
	request := httptest.NewRequestWithContext(ctx, method, dashboardv1alpha1.RootPath+path, strings.NewReader(text))
	response := httptest.NewRecorder()
	e.handler.ServeHTTP(response, request)
	out := wire.Envelope{Raw: response.Body.Bytes()}
	if err := json.Unmarshal(out.Raw, &out); err != nil {
		tb.Fatalf("%s %s: HTTP %d: %v: %.600s", method, path, response.Code, err, out.Raw)
	}
	return out
}
