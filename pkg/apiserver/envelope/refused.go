// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/pkg/names"
)

// lastAdmin finds what the admission policies that keep the last usable administrator said. The reasons that a policy may give do not tell it
// from other refusals; the beginning of the cause does, which kube-apiserver writes. An expression that fails has another reason, and is none.
func lastAdmin(s *metav1.Status) (string, bool) {
	if s.Reason != metav1.StatusReasonForbidden || s.Details == nil {
		return "", false
	}
	for _, cause := range s.Details.Causes {
		if strings.HasPrefix(cause.Message, "ValidatingAdmissionPolicy '"+names.LastAdminPolicy) {
			_, why, found := strings.Cut(cause.Message, "denied request: ")
			return why, found
		}
	}
	return "", false
}

// admission says whether a webhook or a policy has refused the object, whatever status it gave: many give none, and some one that says something
// else of an API server. What is forbidden is left to whoever can tell a policy from RBAC.
func admission(s *metav1.Status) bool {
	if strings.HasPrefix(s.Message, "admission webhook \"") || strings.Contains(s.Message, "failed calling webhook") {
		return true
	}
	if s.Reason == metav1.StatusReasonForbidden || s.Details == nil {
		return false
	}
	return slices.ContainsFunc(s.Details.Causes, func(c metav1.StatusCause) bool { return strings.HasPrefix(c.Message, "ValidatingAdmissionPolicy '") })
}

// notTyped is what kube-apiserver says of a manifest to apply that does not fit the kind; the path of the field and the reason come before any
// value.
var notTyped = regexp.MustCompile(`(\.[^\s:]+): (field not declared in schema|expected [a-z]+|duplicate entries|element 0)`)

// badPatch finds why a patch cannot be applied; nil where it was something else. kube-apiserver says that beside the whole object as it would be,
// or beside values of it, which the caller may not be allowed to see.
func badPatch(s *metav1.Status) *Error {
	refused := errors.New("the patch was refused")
	if strings.HasPrefix(s.Message, "failed to create typed patch object") {
		if found := notTyped.FindStringSubmatch(s.Message); found != nil {
			field := strings.TrimPrefix(found[1], ".")
			return Invalid(field, "the manifest does not fit the kind: %s: %s", field, found[2]).Because(refused)
		}
		return Invalid("body", "the manifest does not fit the kind: a field has another type").Because(refused)
	}
	if s.Reason != metav1.StatusReasonInvalid || s.Details == nil || len(s.Details.Causes) != 1 || s.Details.Causes[0].Field != "patch" {
		return nil
	}
	why, message := "it has another form", s.Details.Causes[0].Message
	for _, end := range []string{"}\": ", "]\": ", "}: ", "]: "} {
		if i := strings.LastIndex(message, end); i >= 0 {
			why = message[i+len(end):]
			break
		}
	}
	return Invalid("body", "the patch does not fit the object: %s", why).Because(refused)
}
