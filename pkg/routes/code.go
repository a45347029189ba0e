// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package routes

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"

	kjson "sigs.k8s.io/json"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
)

// FreshCode returns the fresh code of the caller's second factor in the request, or an empty string.
func (r *Request) FreshCode() string { return r.code }

// freshCode returns the code in the header. If there is none, it returns the code at the top level of the body, if the
// body is a JSON object and the request is neither public nor a GET, HEAD or PATCH. If the value is not a string, it
// belongs to the object and is not a code.
func freshCode(r *http.Request, rule Rule) (code string, inBody bool) {
	header := r.Header.Get(dashboardv1alpha1.CodeHeader)
	read, ok := r.Body.(*body)
	if !ok || !mayHoldCode(r.Method, rule) || !bytes.Contains(read.all, []byte(`"`+dashboardv1alpha1.CodeField+`"`)) {
		return header, false
	}
	var found struct {
		Code json.RawMessage `json:"totpCode"`
	}
	if IsDeeperThan(read.all, maxDepth) || kjson.UnmarshalCaseSensitivePreserveInts(read.all, &found) != nil {
		return header, false
	}
	if found.Code == nil || json.Unmarshal(found.Code, &code) != nil {
		return header, false
	}
	return cmp.Or(header, code), true
}

// isCodeField returns true if an error of strict decoding concerns the code, which is not a field of the body's type.
func isCodeField(err error) bool {
	return err.Error() == `unknown field "`+dashboardv1alpha1.CodeField+`"`
}

// mayHoldCode returns true if the body of a request may contain a code in addition to its own fields.
func mayHoldCode(method string, rule Rule) bool {
	return rule != RulePublic && method != http.MethodPatch && method != http.MethodGet && method != http.MethodHead
}
