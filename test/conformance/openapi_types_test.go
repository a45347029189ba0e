// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	modelPrefix   = "io.kubevision.dashboard.v1alpha1."
	metadataModel = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
	// nonsense is neither a number, nor a boolean, nor a value of any enumeration.
	nonsense = "nonsense"
)

func eachOperation(d *spec3.OpenAPI, visit func(method, path string, item *spec3.Path, o *spec3.Operation)) {
	for path, item := range d.Paths.Paths {
		if strings.Trim(strings.TrimPrefix(path, wire.GroupPath), "/") == "" {
			continue // discovery belongs to Kubernetes
		}
		for method, o := range map[string]*spec3.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put,
			http.MethodPatch:  item.Patch,
			http.MethodDelete: item.Delete,
		} {
			if o != nil {
				visit(method, path, item, o)
			}
		}
	}
}

// TestDocumentIsCommitted verifies that clients/openapi.json equals the OpenAPI document that the server returns.
// Clients are generated from clients/openapi.json.
func TestDocumentIsCommitted(t *testing.T) {
	if !target.Started {
		t.Skip("the installation may have another version")
	}
	root, err := localcluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile(filepath.Join(root, "clients", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	served, _ := document(t)
	want, got := &spec3.OpenAPI{}, &bytes.Buffer{}
	if err := json.Unmarshal(committed, want); err != nil {
		t.Fatal(err)
	}
	delete(served.Paths.Paths, wire.GroupPath+"/") // discovery belongs to Kubernetes
	for name := range served.Components.Schemas {
		if want.Components.Schemas[name] == nil && !strings.HasPrefix(name, modelPrefix) {
			delete(served.Components.Schemas, name) // types of discovery
		}
	}
	encoder := json.NewEncoder(got)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(served); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), committed) {
		t.Errorf("the document is not clients/openapi.json: run make generate")
	}
}

// TestDocumentTypesQueries verifies the types of query parameters in the OpenAPI document. If a parameter has the type
// number, boolean or enumeration, the server rejects other values.
func TestDocumentTypesQueries(t *testing.T) {
	d, _ := document(t)
	s, direct := target.set(), target.direct(t)
	s.HostCluster(t, target.Host)
	u := s.User(t, "conformance-typed")
	s.Bind(t, "conformance-typed", fixture.Grant{
		Role: "admin", Subjects: fixture.KubeVisionUsers(u), Cluster: target.Host,
	})
	token := u.Login(t, direct, wire.DirectPath).AccessToken
	typed := map[string]bool{}
	eachOperation(d, func(method, path string, item *spec3.Path, o *spec3.Operation) {
		if strings.Contains(o.Description, " a WebSocket") {
			return // the server requires an upgrade before it reads the parameters
		}
		for _, p := range slices.Concat(item.Parameters, o.Parameters) {
			if p.In != "query" || (p.Schema.Type.Contains("string") && len(p.Schema.Enum) == 0) {
				continue
			}
			typed[p.Name] = true
			values := url.Values{p.Name: {nonsense}}
			if method == http.MethodGet {
				values.Set("q", "x") // a search requires a text
			}
			if !strings.Contains(path, "{namespace}") {
				values.Set("namespace", "default")
			}
			query := values.Encode()
			e := direct.Call(t, wire.Request{
				Method: method, Bearer: token, Path: examplePath(path) + "?" + query, Body: exampleBody(method),
				Header: http.Header{"Content-Type": {exampleType(o)}},
			})
			if e.Code != wire.Invalid || e.Meta.Field != p.Name {
				t.Errorf("%s %s?%s: code %d (%s) at %q", method, path, query, e.Code, e.Message, e.Meta.Field)
			}
		}
	})
	for _, name := range []string{
		"limit", "gracePeriodSeconds", "includeMetrics", "reveal", "force", "order", "propagationPolicy", "dryRun",
		"source", "view",
	} {
		if !typed[name] {
			t.Errorf("%s is described as any string", name)
		}
	}
}

// examplePath replaces the placeholders in a path template, for example {namespace}, with names. The named objects need
// not exist.
func examplePath(template string) string {
	return strings.NewReplacer(
		"{cluster}", target.Host, "{namespace}", "default", "{resource}", "configmaps", "{name}", "one",
	).Replace(template)
}

func exampleBody(method string) string {
	switch method {
	case http.MethodPut:
		return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one","resourceVersion":"1"}}`
	case http.MethodPost, http.MethodPatch:
		return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"one"}}`
	default:
		return ""
	}
}

func exampleType(o *spec3.Operation) string {
	const apply = "application/apply-patch+yaml"
	if o.RequestBody != nil && o.RequestBody.Content[apply] != nil {
		return apply
	}
	return jsonType
}

// TestDocumentTypesCodes verifies that the OpenAPI document describes the field "code" as an enumeration of all codes.
// This applies to responses and to the results of single objects in a response.
func TestDocumentTypesCodes(t *testing.T) {
	d, _ := document(t)
	code := d.Components.Schemas[modelPrefix+"Code"]
	if code == nil {
		t.Fatal("codes have no type")
	}
	want := make([]string, 0, len(wire.Codes()))
	for _, c := range wire.Codes() {
		want = append(want, strconv.Itoa(c))
	}
	got := make([]string, 0, len(code.Enum))
	for _, c := range code.Enum {
		got = append(got, fmt.Sprint(c))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the codes are %v, want %v", got, want)
	}
	for name, schema := range d.Components.Schemas {
		p, ok := schema.Properties["code"]
		if !ok || !strings.HasPrefix(name, modelPrefix) || p.Type.Contains("string") {
			continue // one-time codes are strings
		}
		if !refersTo(p.AllOf, modelPrefix+"Code") {
			t.Errorf("the code of %s is %+v", name, p)
		}
	}
}

// TestDocumentTypesObjects verifies the type of a Kubernetes object in the OpenAPI document. The type must have the
// field "metadata", and must allow additional fields.
func TestDocumentTypesObjects(t *testing.T) {
	d, _ := document(t)
	for _, name := range []string{"Object", "Manifest"} {
		schema := d.Components.Schemas[modelPrefix+name]
		if schema == nil || !refersTo(schema.Properties["metadata"].AllOf, metadataModel) {
			t.Errorf("%s has no metadata: %+v", name, schema)
			continue
		}
		if schema.AdditionalProperties == nil || !schema.AdditionalProperties.Allows {
			t.Errorf("%s has no other fields than %v", name, schema.Properties)
		}
	}
	list := d.Components.Schemas[modelPrefix+"ObjectListEnvelope"].Properties["data"]
	if list.Items == nil || !refersTo(append(list.Items.Schema.AllOf, *list.Items.Schema), modelPrefix+"Object") {
		t.Errorf("a list has %+v", list)
	}
	if !refersTo(d.Components.Schemas[modelPrefix+"ObjectEnvelope"].Properties["data"].AllOf, modelPrefix+"Object") {
		t.Error("a single object is not described as an object")
	}
	if !refersTo(d.Components.Schemas[modelPrefix+"DryRunObject"].Properties["raw"].AllOf, modelPrefix+"Object") {
		t.Error("the result of a dry run is not described as an object")
	}
}

// TestDocumentNamesCredentials verifies the required credentials in the OpenAPI document. The server rejects a request
// without a credential if and only if the document requires a credential for the operation.
func TestDocumentNamesCredentials(t *testing.T) {
	d, _ := document(t)
	schemes := d.Components.SecuritySchemes
	if s := schemes["accessToken"]; s == nil || s.Type != "http" || s.Scheme != "bearer" {
		t.Errorf("bearer tokens are described as %+v", s)
	}
	if s := schemes["accessTokenHeader"]; s == nil || s.Type != "apiKey" || s.In != "header" ||
		s.Name != wire.TokenHeader {
		t.Errorf("the header is described as %+v", s)
	}
	direct := target.direct(t)
	eachOperation(d, func(method, path string, _ *spec3.Path, o *spec3.Operation) {
		public := len(o.SecurityRequirement) == 0
		for _, requirement := range o.SecurityRequirement {
			public = public || len(requirement) == 0
			for name := range requirement {
				if schemes[name] == nil {
					t.Errorf("%s requires %s, which is not described", o.OperationId, name)
				}
			}
		}
		e := direct.Call(t, wire.Request{Method: method, Path: examplePath(path)})
		if refused := e.Code == wire.Unauthenticated; refused == public {
			t.Errorf("%s requires %v, and responds without credentials with %d (%s)",
				o.OperationId, o.SecurityRequirement, e.Code, e.Message)
		}
	})
}

func refersTo(schemas []spec.Schema, model string) bool {
	return slices.ContainsFunc(schemas, func(s spec.Schema) bool {
		return s.Ref.String() == "#/components/schemas/"+model
	})
}
