// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/pkg/names"
)

// policyRefusal returns the name and the message of the ValidatingAdmissionPolicy that denied a request with the reason
// Forbidden. It returns empty strings for any other Status.
func policyRefusal(s *metav1.Status) (policy, why string) {
	if s.Reason != metav1.StatusReasonForbidden || s.Details == nil {
		return "", ""
	}
	// RBAC denials have the same reason, but no cause with the message of a policy.
	for _, cause := range s.Details.Causes {
		rest, found := strings.CutPrefix(cause.Message, policyPrefix)
		if !found {
			continue
		}
		policy, rest, _ = strings.Cut(rest, "'")
		if _, why, found = strings.Cut(rest, "denied request: "); found {
			return policy, why
		}
	}
	return "", ""
}

const policyPrefix = "ValidatingAdmissionPolicy '"

// lastAdmin returns true if the request was denied by a ValidatingAdmissionPolicy that protects the only remaining
// administrator who can log in. It also returns the message of the policy.
func lastAdmin(s *metav1.Status) (string, bool) {
	policy, why := policyRefusal(s)
	return why, strings.HasPrefix(policy, names.LastAdminPolicy)
}

// LacksRight returns true if one of KubeVision's ValidatingAdmissionPolicies has denied a request because the user
// lacks a right, for example the right to bind a role.
func LacksRight(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	s := status.Status()
	policy, _ := policyRefusal(&s)
	switch policy {
	case names.RoleBindingsPolicy, names.ClustersPolicy, names.ClusterCredentialsPolicy, names.UsersPolicy,
		names.NamespacesPolicy, names.NewNamespacesPolicy:
		return true
	default:
		return false
	}
}

// isAdmissionRefusal returns true if a webhook has rejected the request, or if a ValidatingAdmissionPolicy has rejected
// it with a reason other than Forbidden.
func isAdmissionRefusal(s *metav1.Status) bool {
	// Many webhooks set no reason or a misleading one. Therefore, the message is examined.
	if strings.HasPrefix(s.Message, "admission webhook \"") || strings.Contains(s.Message, "failed calling webhook") {
		return true
	}
	// RBAC denials also have the reason Forbidden. Package authorization finds out who has denied the request.
	if s.Reason == metav1.StatusReasonForbidden || s.Details == nil {
		return false
	}
	return slices.ContainsFunc(s.Details.Causes, func(c metav1.StatusCause) bool {
		return strings.HasPrefix(c.Message, policyPrefix)
	})
}

// notTyped matches the message with which kube-apiserver rejects an applied manifest that does not match the schema. It
// captures the path of the field and the reason, but not the values of the manifest that the message contains.
var notTyped = regexp.MustCompile(
	`(\.[^\s:]+): (field not declared in schema|expected [a-z]+|duplicate entries|element 0)`)

// badPatch returns the error for a patch that cannot be applied to an object, or nil if s reports another problem. The
// message of kube-apiserver quotes the object or its values, which the caller may not be allowed to read. Therefore,
// the returned error does not contain that message.
func badPatch(s *metav1.Status) *Error {
	refused := errors.New("the patch was rejected")
	if strings.HasPrefix(s.Message, "failed to create typed patch object") {
		if found := notTyped.FindStringSubmatch(s.Message); found != nil {
			field := strings.TrimPrefix(found[1], ".")
			return Invalid(field, "the manifest does not match the schema of the kind: %s: %s", field,
				found[2]).WithCause(refused)
		}
		return Invalid("body",
			"the manifest does not match the schema of the kind: a field has the wrong type").WithCause(refused)
	}
	if s.Reason != metav1.StatusReasonInvalid || s.Details == nil || len(s.Details.Causes) != 1 ||
		s.Details.Causes[0].Field != "patch" {
		return nil
	}
	why, message := "it is malformed", s.Details.Causes[0].Message
	for _, end := range []string{"}\": ", "]\": ", "}: ", "]: "} {
		if i := strings.LastIndex(message, end); i >= 0 {
			why = message[i+len(end):]
			break
		}
	}
	return Invalid("body", "the patch does not match the object: %s", why).WithCause(refused)
}
