// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const jsonType = "application/json"

// withoutBody contains the IDs of the POST, PUT and PATCH operations that have no request body.
var withoutBody = []string{
	"logout", "testCluster", "resetTwoFactor", "revokeSessions", "restartNamespaceKind", "restartNamespaceObject",
	"restartClusterObject",
	"cordonNode", "uncordonNode", "refreshCustomResources",
}

func optionalBody() []string {
	return []string{"setUpTwoFactor", "drainNode", "createTicket", "debugPod"}
}

// document returns the OpenAPI document of the API group from kube-apiserver, which updates it only occasionally.
func document(t *testing.T) (*spec3.OpenAPI, []byte) {
	t.Helper()
	reader, out, text := target.as(t, fixture.Name("conformance-reader")), &spec3.OpenAPI{}, []byte(nil)
	// kube-apiserver reads the document again a minute after a failure, such as one during a restart of the server.
	const retried = 90 * time.Second
	err := localcluster.Poll(t.Context(), retried, "read the OpenAPI document", func(ctx context.Context) error {
		response, err := reader.Do(ctx, wire.Request{Path: "/openapi/v3" + wire.GroupPath,
			Header: http.Header{"Accept": {jsonType}}})
		if err != nil {
			return err
		}
		if response.Status != http.StatusOK {
			return fmt.Errorf("HTTP %d: %.300s", response.Status, response.Body)
		}
		text = response.Body
		return json.Unmarshal(text, out)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out, text
}

// TestOpenAPI verifies that each operation, parameter and body is described completely enough to generate a client.
func TestOpenAPI(t *testing.T) {
	d, _ := document(t)
	seen := map[string]string{}
	eachOperation(d, func(method, path string, item *spec3.Path, o *spec3.Operation) {
		name := method + " " + path
		if other, taken := seen[o.OperationId]; taken || o.OperationId == "" {
			t.Errorf("%s and %s are both the operation %q", name, other, o.OperationId)
		}
		seen[o.OperationId] = name
		if o.Description == "" {
			t.Errorf("%s is not described", name)
		}
		checkParameters(t, name, path, slices.Concat(item.Parameters, o.Parameters))
		checkBody(t, d, name, method, o)
		checkAnswer(t, d, name, o)
	})
	for _, id := range slices.Concat(withoutBody,
		[]string{"login", "listNamespaceObjects", "listClusters", "createUser"}) {
		if seen[id] == "" {
			t.Errorf("there is no operation %s", id)
		}
	}
}

func checkParameters(t *testing.T, name, path string, parameters []*spec3.Parameter) {
	t.Helper()
	for _, p := range parameters {
		if p.Description == "" || p.Schema == nil {
			t.Errorf("the parameter %s of %s is not described", p.Name, name)
		}
		if p.In == "path" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", "")
		}
	}
	if strings.Contains(path, "{") {
		t.Errorf("the path of %s has parameters that are not described", name)
	}
}

func checkBody(t *testing.T, d *spec3.OpenAPI, name, method string, o *spec3.Operation) {
	t.Helper()
	changes := method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
	switch {
	case o.RequestBody == nil && changes && !slices.Contains(withoutBody, o.OperationId):
		t.Errorf("%s does not describe its body", name)
	case o.RequestBody != nil && o.RequestBody.Required == slices.Contains(optionalBody(), o.OperationId):
		t.Errorf("%s describes its body as required: %t", name, o.RequestBody.Required)
	case o.RequestBody != nil:
		for mediaType, content := range o.RequestBody.Content {
			if strings.Contains(mediaType, "*") || content.Schema == nil || resolve(d, content.Schema) == nil {
				t.Errorf("the body of %s, as %s, is %+v", name, mediaType, content.Schema)
			}
		}
	}
}

func checkAnswer(t *testing.T, d *spec3.OpenAPI, name string, o *spec3.Operation) {
	t.Helper()
	if len(o.Responses.StatusCodeResponses) != 1 || o.Responses.StatusCodeResponses[http.StatusOK] == nil {
		t.Fatalf("%s has the responses %v; the status is always 200", name, o.Responses.StatusCodeResponses)
	}
	content := o.Responses.StatusCodeResponses[http.StatusOK].Content
	if len(content) != 1 || content[jsonType] == nil {
		t.Fatalf("%s answers with %v", name, content)
	}
	schema := resolve(d, content[jsonType].Schema)
	if schema == nil {
		t.Fatalf("%s answers with %+v", name, content[jsonType].Schema)
	}
	for _, field := range []string{"code", "message", "data", "meta"} {
		if _, ok := schema.Properties[field]; !ok {
			t.Errorf("the answer of %s has no %s", name, field)
		}
	}
}

// resolve returns the named type to which a schema refers, or nil.
func resolve(d *spec3.OpenAPI, s *spec.Schema) *spec.Schema {
	if s == nil {
		return nil
	}
	return d.Components.Schemas[strings.TrimPrefix(s.Ref.String(), "#/components/schemas/")]
}
