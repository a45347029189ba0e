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

// FreshCode returns the one-time code in the request, or an empty string. With the one-time code, the caller proves the
// possession of the second factor.
func (r *Request) FreshCode() string { return r.code }

// freshCode returns the one-time code of the caller's second factor, or an empty string. The result inBody is true if
// the JSON body contains a code.
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
	return cmp.Or(header, code), true // the header has precedence
}

// isCodeField returns true if err, an error of strict decoding, reports totpCode as unknown. totpCode is allowed in
// addition to the fields of the decoded type.
func isCodeField(err error) bool {
	return err.Error() == `unknown field "`+dashboardv1alpha1.CodeField+`"`
}

// mayHoldCode returns true if the body of a request with this method and access rule is searched for a one-time code.
// It returns false for public endpoints, and for the methods GET, HEAD and PATCH.
func mayHoldCode(method string, rule Rule) bool {
	return rule != RulePublic && method != http.MethodPatch && method != http.MethodGet && method != http.MethodHead
}
