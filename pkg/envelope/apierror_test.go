// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

// TestFromAPIErrorGolden verifies the codes to which FromAPIError converts the errors of an API server. The test covers
// the constructors in k8s.io/apimachinery/pkg/api/errors.
func TestFromAPIErrorGolden(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for name, tc := range map[string]struct {
		err  error
		want dashboardv1alpha1.Code
	}{
		"NotFound":             {apierrors.NewNotFound(pods, "a"), 40400},
		"AlreadyExists":        {apierrors.NewAlreadyExists(pods, "a"), 40900},
		"GenerateNameConflict": {apierrors.NewGenerateNameConflict(pods, "a", 1), 40900},
		"Unauthorized":         {apierrors.NewUnauthorized("robot"), 50200},
		"Forbidden":            {apierrors.NewForbidden(pods, "a", errors.New("no")), 40300},
		"Conflict":             {apierrors.NewConflict(pods, "a", errors.New("changed")), 40901},
		"ApplyConflict":        {apierrors.NewApplyConflict(nil, "owned by kubectl"), 40901},
		"Gone":                 {apierrors.NewGone("old"), 40002}, //nolint:staticcheck // servers still send it
		"ResourceExpired":      {apierrors.NewResourceExpired("old"), 40002},
		"Invalid": {apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "a",
			field.ErrorList{field.Required(field.NewPath("spec"), "")}), 42201},
		"BadRequest":           {apierrors.NewBadRequest("field label not supported"), 40002},
		"TooManyRequests":      {apierrors.NewTooManyRequests("busy", 1), 50200},
		"TooManyRequestsError": {apierrors.NewTooManyRequestsError("busy"), 50200},
		"ServiceUnavailable":   {apierrors.NewServiceUnavailable("down"), 50200},
		"MethodNotSupported":   {apierrors.NewMethodNotSupported(pods, "list"), 40400},
		"ServerTimeout":        {apierrors.NewServerTimeout(pods, "list", 1), 50200},
		"ServerTimeoutForKind": {apierrors.NewServerTimeoutForKind(schema.GroupKind{Kind: "Pod"}, "list", 1),
			50200},
		"InternalError":              {apierrors.NewInternalError(errors.New("etcd")), 50200},
		"TimeoutError":               {apierrors.NewTimeoutError("slow", 1), 50200},
		"RequestEntityTooLargeError": {apierrors.NewRequestEntityTooLargeError("large"), 40002},
		"generic 403": {apierrors.NewGenericServerResponse(http.StatusForbidden, "get", pods, "a", "", 0,
			true), 40300},
		"generic 404": {apierrors.NewGenericServerResponse(http.StatusNotFound, "get", pods, "a", "", 0,
			true), 40400},
		"generic 406": {apierrors.NewGenericServerResponse(http.StatusNotAcceptable, "get", pods, "a",
			"", 0, true), 40002},
		"generic 409 of a create": {apierrors.NewGenericServerResponse(http.StatusConflict, "POST", pods, "a", "", 0,
			true), 40900},
		"generic 409 of an update": {apierrors.NewGenericServerResponse(http.StatusConflict, "PUT", pods, "a", "", 0,
			true), 40901},
		"generic 410": {apierrors.NewGenericServerResponse(http.StatusGone, "get", pods, "a", "", 0,
			true), 40002},
		"generic 415": {apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "PATCH",
			pods, "a", "", 0, true), 40002},
		"generic 422": {apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "POST", pods,
			"a", "", 0, true), 42201},
		"generic 429": {apierrors.NewGenericServerResponse(http.StatusTooManyRequests, "get", pods, "a",
			"", 1, true), 50200},
		"generic 500": {apierrors.NewGenericServerResponse(http.StatusInternalServerError, "get", pods,
			"a", "", 0, true), 50200},
		"generic 503": {apierrors.NewGenericServerResponse(http.StatusServiceUnavailable, "get", pods,
			"a", "", 0, true), 50200},
		"generic 504": {apierrors.NewGenericServerResponse(http.StatusGatewayTimeout, "get", pods, "a",
			"", 0, true), 50200},
		"unheard-of status":       {&apierrors.StatusError{ErrStatus: metav1.Status{Code: 599}}, 50200},
		"status without a reason": {&apierrors.StatusError{ErrStatus: metav1.Status{Code: 403}}, 40300},
		"wrapped":                 {fmt.Errorf("listing: %w", apierrors.NewNotFound(pods, "a")), 40400},
		"refused": {&url.Error{Op: "Get", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}},
			50200},
		"unknown authority": {&url.Error{Op: "Get", Err: x509.UnknownAuthorityError{}}, 50200},
		"no such host":      {&net.DNSError{Err: "no such host", IsNotFound: true}, 50200},
		"deadline":          {context.DeadlineExceeded, 50200},
		"our own":           {Required("name"), 40001},
	} {
		t.Run(name, func(t *testing.T) {
			if got := FromAPIError(tc.err); got.Code != tc.want {
				t.Errorf("got %d, want %d", got.Code, tc.want)
			}
		})
	}
}

// TestLastAdminIsAConflict verifies the error if a ValidatingAdmissionPolicy prevents the removal of the last
// administrator. The code is CodeConflict, and the message is the message of the policy. A rejection by another policy
// has another code.
func TestLastAdminIsAConflict(t *testing.T) {
	denied := func(policy string, code int32, reason metav1.StatusReason) error {
		message := "ValidatingAdmissionPolicy '" + policy + "' with binding '" + policy +
			"' denied request: \"alice\" is the last"
		return &apierrors.StatusError{ErrStatus: metav1.Status{
			Code: code, Reason: reason, Message: "users \"alice\" is forbidden: " + message,
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Message: message}}},
		}}
	}
	for name, tc := range map[string]struct {
		err  error
		want dashboardv1alpha1.Code
	}{
		"of a user": {denied("kubevision-last-admin", http.StatusForbidden,
			metav1.StatusReasonForbidden), 40900},
		"of a binding": {denied("kubevision-last-admin-binding", http.StatusForbidden,
			metav1.StatusReasonForbidden), 40900},
		"another policy": {denied("kubevision-role-bindings", http.StatusForbidden,
			metav1.StatusReasonForbidden), 40300},
		"an expression that fails": {denied("kubevision-last-admin", http.StatusUnprocessableEntity,
			metav1.StatusReasonInvalid), 42201},
	} {
		got := FromAPIError(fmt.Errorf("deleting: %w", tc.err))
		if got.Code != tc.want {
			t.Errorf("%s: got %d, want %d", name, got.Code, tc.want)
		}
		if want := "\"alice\" is the last"; tc.want == 40900 && got.Message != want {
			t.Errorf("%s: the message is %q, want %q", name, got.Message, want)
		}
	}
}

// TestLacksRight verifies that LacksRight returns true if a ValidatingAdmissionPolicy rejects a user who lacks a right,
// for example the right to bind a role. LacksRight returns false for rejections by other policies.
func TestLacksRight(t *testing.T) {
	for policy, want := range map[string]bool{
		names.RoleBindingsPolicy: true, names.ClustersPolicy: true, names.ClusterCredentialsPolicy: true,
		names.UsersPolicy:      true,
		names.NamespacesPolicy: true, names.NewNamespacesPolicy: true,
		"kubevision-own-objects": false, names.LastAdminPolicy: false, "kubevision-users-of-another": false,
	} {
		denied := apierrors.NewForbidden(schema.GroupResource{Resource: "users"}, "alice", errors.New("no"))
		denied.ErrStatus.Details.Causes = []metav1.StatusCause{{Message: "ValidatingAdmissionPolicy '" + policy +
			"' with binding 'x' denied request: no"}}
		if got := LacksRight(fmt.Errorf("creating: %w", denied)); got != want {
			t.Errorf("%s: got %v", policy, got)
		}
	}
	if LacksRight(errors.New("no")) || LacksRight(apierrors.NewForbidden(schema.GroupResource{}, "", nil)) {
		t.Error("something else is taken for it")
	}
}

func TestTheFieldThatIsWrong(t *testing.T) {
	named := apierrors.NewBadRequest("bad")
	named.ErrStatus.Details = &metav1.StatusDetails{Causes: []metav1.StatusCause{{Field: "spec.replicas"}}}
	for want, err := range map[string]error{
		"continue":      apierrors.NewResourceExpired("old"),
		"spec.replicas": named,
		"":              apierrors.NewBadRequest("bad"),
	} {
		if got := FromAPIError(err).Field; got != want {
			t.Errorf("%v: the field is %q, want %q", err, got, want)
		}
	}
}

func TestUnreachableSaysNothingOfTheCause(t *testing.T) {
	cause := &url.Error{Op: "Get", URL: "https://10.0.0.1/secret-path", Err: errors.New("connection refused")}
	e := FromAPIError(cause)
	if !errors.Is(e, cause) {
		t.Error("the cause is lost to the log")
	}
	if want := "the cluster's API server cannot be reached"; e.Message != want {
		t.Errorf("the message is %q, want %q", e.Message, want)
	}
	if late := FromAPIError(fmt.Errorf("listing: %w", context.DeadlineExceeded)); !strings.Contains(late.Message,
		"in time") {
		t.Errorf("the message is %q, want one that says that time was up", late.Message)
	}
}

// TestFailureInTheServersWords verifies that FromAPIError returns an API server's message about its own failure, in one
// line. FromAPIError omits a message that may quote an object. It also omits the text of a response that is not a
// Status.
func TestFailureInTheServersWords(t *testing.T) {
	const general = "the cluster's API server cannot be reached"
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"a failure": {apierrors.NewServiceUnavailable("conversion\nfailed"), "conversion failed"},
		"not found": {apierrors.NewServiceUnavailable("down"), "down"},
		"none":      {apierrors.NewGenericServerResponse(500, "get", schema.GroupResource{}, "", "", 0, true), ""},
		"an object": {apierrors.NewInternalError(
			errors.New("failed to create typed live object (a): .data: canary")), ""},
		"without text": {&apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusInternalServerError}}, ""},
	} {
		want := general
		if tc.want != "" {
			want = "the cluster's API server responded with an error: " + tc.want
		}
		got := FromAPIError(fmt.Errorf("listing: %w", tc.err))
		if got.Code != dashboardv1alpha1.CodeUnreachable || got.Message != want {
			t.Errorf("%s: got %d %q, want %q", name, got.Code, got.Message, want)
		}
	}
}

func TestAnyOtherErrorIsInternalAndSilent(t *testing.T) {
	e := As(fmt.Errorf("reading: %w", errors.New("password hunter2")))
	if e.Code != dashboardv1alpha1.CodeInternal || e.Message != Internal(nil).Message {
		t.Errorf("got %d %q", e.Code, e.Message)
	}
}

func TestLate(t *testing.T) {
	e := As(fmt.Errorf("reading: %w", context.DeadlineExceeded))
	if e.Code != dashboardv1alpha1.CodeUnreachable || !strings.Contains(e.Message, "timed out") {
		t.Errorf("got %d %q", e.Code, e.Message)
	}
}

// TestABadPatchIsNotQuoted verifies that FromAPIError removes the quoted object from kube-apiserver's error message for
// an invalid patch.
func TestABadPatchIsNotQuoted(t *testing.T) {
	const canary = "aHVudGVyMg"
	for name, tc := range map[string]struct{ value, detail, want string }{
		"an unknown field": {`{"data":{"p":"` + canary + `"},"spec":{}}`, `strict decoding error: unknown field "spec"`,
			`strict decoding error: unknown field "spec"`},
		"a list":          {`["` + canary + `"]`, "cannot unmarshal", "cannot unmarshal"},
		"a map of Go":     {"map[p:" + canary + "]", "invalid type", "invalid type"},
		"an unknown text": {canary, canary, "it is malformed"},
	} {
		err := apierrors.NewInvalid(schema.GroupKind{}, "",
			field.ErrorList{field.Invalid(field.NewPath("patch"), tc.value, tc.detail)})
		got := FromAPIError(err)
		if got.Code != dashboardv1alpha1.CodeInvalid || !strings.HasSuffix(got.Message, tc.want) {
			t.Errorf("%s: got %d %q", name, got.Code, got.Message)
		}
		if strings.Contains(got.Error(), canary) {
			t.Errorf("%s: the value is in %q", name, got.Error())
		}
	}
}

// TestRefusalsByTheirWords verifies that FromAPIError recognizes two errors by the messages in a Status. The HTTP
// status code does not matter.
//   - A rejection by an admission webhook or a ValidatingAdmissionPolicy has the code CodeRejected.
//   - A patch that does not match the schema of the kind has the code CodeInvalid. The error contains no values of the
//     patch.
func TestRefusalsByTheirWords(t *testing.T) {
	const canary = "12345678"
	plain := func(code int32, message string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: code, Message: message}}
	}
	for name, tc := range map[string]struct {
		err   error
		want  dashboardv1alpha1.Code
		field string
	}{
		"a webhook without a status": {plain(400, `admission webhook "x.example.com" denied the request: no`),
			42201, ""},
		"a webhook of another mind": {plain(500, `admission webhook "x.example.com" denied the request: no`),
			42201, ""},
		"a webhook without dry runs": {apierrors.NewBadRequest(
			`admission webhook "x.example.com" does not support dry run`), 42201, ""},
		"an unreachable webhook": {apierrors.NewInternalError(
			errors.New(`failed calling webhook "x.example.com": refused`)), 42201, ""},
		"a policy with its own reason": {&apierrors.StatusError{ErrStatus: metav1.Status{
			Code: 401, Reason: metav1.StatusReasonUnauthorized, Message: "no",
			Details: &metav1.StatusDetails{
				Causes: []metav1.StatusCause{
					{Message: "ValidatingAdmissionPolicy 'x' with binding 'x' denied request: no"}}},
		}}, 42201, ""},
		"an unknown field": {plain(500,
			"failed to create typed patch object (ns/a; apps/v1, Kind=Deployment): .spec.x: field not declared in "+
				"schema"), 40002, "spec.x"},
		"another type": {plain(500,
			"failed to create typed patch object (ns/a; /v1, Kind=Secret): .stringData.pin: expected string, "+
				"got &value.valueUnstructured{Value:"+canary+"}"), 40002, "stringData.pin"},
		"something else of a patch": {plain(500, "failed to create typed patch object (ns/a): "+canary), 40002, "body"},
	} {
		got := FromAPIError(tc.err)
		if got.Code != tc.want || got.Field != tc.field {
			t.Errorf("%s: got %d %q of %q", name, got.Code, got.Message, got.Field)
		}
		if strings.Contains(got.Error(), canary) {
			t.Errorf("%s: the value is in %q", name, got.Error())
		}
	}
}
