// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package response

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

const canary = "said-by-the-member"

func get(t *testing.T, handler http.HandlerFunc, accept string) rest.Result {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	config := &rest.Config{Host: server.URL,
		ContentConfig: rest.ContentConfig{NegotiatedSerializer: scheme.Codecs.WithoutConversion()}}
	client, err := rest.UnversionedRESTClientForConfigAndClient(config,
		&http.Client{Transport: &Transport{Next: server.Client().Transport}})
	if err != nil {
		t.Fatal(err)
	}
	return client.Get().AbsPath("/api/v1/pods").SetHeader("Accept", accept).MaxRetries(0).Do(t.Context())
}

func answering(code int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for pair := range slices.Chunk(header, 2) {
			w.Header().Add(pair[0], pair[1])
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

func statusJSON(kind, version, status string, code int) string {
	return fmt.Sprintf(`{"kind":%q,"apiVersion":%q,"status":%q,"message":%q,"reason":"Forbidden","code":%d}`, kind,
		version, status, canary, code)
}

// TestUntyped verifies that only the HTTP status is returned for a response that does not come from an API server.
func TestUntyped(t *testing.T) {
	for _, code := range []int{300, 301, 302, 307, 308, 299, 400, 401, 403, 404, 405, 406, 409, 413, 415, 418, 422, 429,
		500, 502, 503, 504, 599} {
		for name, handler := range map[string]http.HandlerFunc{
			"text":         answering(code, "text/plain", canary, "Location", "https://192.0.2.1/"+canary),
			"no type":      answering(code, "", canary, "Location", "%zz"+canary),
			"HTML":         answering(code, "text/html", canary, "Warning", `199 - "`+canary+`"`),
			"JSON":         answering(code, "application/json", `"`+canary+`"`),
			"another kind": answering(code, "application/json", statusJSON("Pod", "v1", "Failure", code)),
			"another group": answering(code, "application/json",
				statusJSON("Status", "example.com/v1", "Failure", code)),
			"success":      answering(code, "application/json", statusJSON("Status", "v1", "Success", code)),
			"as text":      answering(code, "text/plain", statusJSON("Status", "v1", "Failure", code)),
			"another type": answering(code, canary+"/"+canary, statusJSON("Status", "v1", "Failure", code)),
			"huge": answering(code, "application/json",
				statusJSON("Status", "v1", "Failure", code)+strings.Repeat(" ", maxErrorBytes)),
			"protobuf": answering(code, "application/vnd.kubernetes.protobuf", "k8s\x00"+canary),
		} {
			t.Run(fmt.Sprint(code, " ", name), func(t *testing.T) {
				err := get(t, handler, "").Error()
				var status apierrors.APIStatus
				if !errors.As(err, &status) || IsTyped(err) {
					t.Fatalf("%v is typed, or no status", err)
				}
				s := status.Status()
				want := code
				if code < http.StatusBadRequest {
					want = http.StatusBadGateway
				}
				if got := int(s.Code); got != want || s.Message == "" {
					t.Errorf("code %d and message %q, want %d", got, s.Message, want)
				}
				if text := fmt.Sprintf("%v %+v", err, s); strings.Contains(text, canary) ||
					strings.Contains(text, "192.0.2.1") {
					t.Errorf("it says %s", text)
				}
			})
		}
	}
}

// TestTyped verifies that Transport truncates long texts in the Status of an API server, and removes control
// characters. Transport also sets the code of the Status to the HTTP status code of the response.
func TestTyped(t *testing.T) {
	cause := metav1.StatusCause{Type: "FieldValueInvalid", Field: "spec.a\x1b", Message: strings.Repeat("c", 10_000) +
		" the reason"}
	status := &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
		Reason: metav1.StatusReasonInvalid, Code: 200,
		Message: canary + "\n\u202e" + strings.Repeat("m", 10_000),
		Details: &metav1.StatusDetails{Name: "n\n", Kind: "pods",
			Causes: slices.Repeat([]metav1.StatusCause{cause}, 100), RetryAfterSeconds: 1 << 30},
	}
	for _, mediaType := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		t.Run(mediaType, func(t *testing.T) {
			info, ok := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), mediaType)
			if !ok {
				t.Fatal("there is no encoder")
			}
			body, err := runtime.Encode(info.Serializer, status)
			if err != nil {
				t.Fatal(err)
			}
			err = get(t, answering(http.StatusUnprocessableEntity, mediaType, string(body)), mediaType).Error()
			if !IsTyped(err) || !apierrors.IsInvalid(err) {
				t.Fatalf("%v is not typed", err)
			}
			var api apierrors.APIStatus
			errors.As(err, &api)
			s := api.Status()
			if s.Code != http.StatusUnprocessableEntity || !strings.HasPrefix(s.Message, canary+" mmm") ||
				len(s.Message) > maxMessage {
				t.Errorf("code %d, message %q of %d bytes", s.Code, s.Message[:50], len(s.Message))
			}
			d := s.Details
			if d.Name != "n" || d.Kind != "pods" || len(d.Causes) != maxCauses ||
				d.RetryAfterSeconds != maxRetrySeconds {
				t.Errorf("%d causes, name %q, retry after %d", len(d.Causes), d.Name, d.RetryAfterSeconds)
			}
			if c := d.Causes[0]; c.Field != "spec.a" || len(c.Message) > maxCause ||
				!strings.HasSuffix(c.Message, " the reason") {
				t.Errorf("field %q, message of %d bytes", c.Field, len(c.Message))
			}
		})
	}
}

// TestElementsOfAStatus verifies that a Status with many causes is rejected, and that a Status that quotes a large
// patch is accepted.
func TestElementsOfAStatus(t *testing.T) {
	status := func(rest string) []byte {
		return []byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":400` + rest + "}")
	}
	const many = 100_000
	for name, tc := range map[string]struct {
		rest string
		want bool
	}{
		"objects": {`,"details":{"causes":[{}` + strings.Repeat(",{}", many) + "]}", false},
		"nulls":   {`,"details":{"causes":[null` + strings.Repeat(",null", many) + "]}", false},
		"a quote": {`,"message":"` + strings.Repeat(`{\"a\":1},`, many/2) + `"`, true},
	} {
		if _, ok := parseStatus(mediaTypeJSON, status(tc.rest)); ok != tc.want {
			t.Errorf("%s: %t", name, ok)
		}
	}
	causes := metav1.Status{Status: metav1.StatusFailure,
		Details: &metav1.StatusDetails{Causes: make([]metav1.StatusCause, many)}}
	raw, err := causes.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	body, err := (&runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "Status"}, Raw: raw}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := parseStatus(mediaTypeProtobuf, append([]byte(protobufPrefix), body...)); ok {
		t.Error("causes in protobuf")
	}
}

// TestWarnings verifies that Transport limits the number and the length of warnings, and removes control characters.
func TestWarnings(t *testing.T) {
	header := []string{
		"Warning", `299 - "one` + "\u202e" + `two"`, "Warning", `199 - "another code"`, "Warning", "malformed",
		"Warning", `299 - "` + strings.Repeat("w", 5000) + `"`,
	}
	for range 100 {
		header = append(header, "Warning", `299 - "more"`)
	}
	result := get(t, answering(http.StatusOK, "application/json", "{}", header...), "")
	warnings := result.Warnings()
	if len(warnings) == 0 || warnings[0].Text != "onetwo" || len(warnings) > maxWarnings {
		t.Fatalf("%d warnings: %v", len(warnings), warnings)
	}
	for _, w := range warnings {
		if len(w.Text) > maxWarning || w.Text == "another code" {
			t.Errorf("%q passes", w.Text)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestFailures verifies that the text of a connection error contains no data from the server. errors.Is still finds the
// cause of the error.
func TestFailures(t *testing.T) {
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://member/api", nil)
	for _, cause := range []error{
		fmt.Errorf("malformed HTTP response %q", canary), context.DeadlineExceeded,
		fmt.Errorf("GOAWAY, debug=%q: %w", canary, io.ErrUnexpectedEOF),
	} {
		transport := &Transport{Next: roundTripper(func(*http.Request) (*http.Response, error) { return nil, cause })}
		response, err := transport.RoundTrip(request)
		if err == nil {
			t.Fatal("there is a response", response.Body.Close())
		}
		if strings.Contains(err.Error(), canary) || !errors.Is(err, cause) {
			t.Errorf("%q, want the cause %v and nothing of its text", err, cause)
		}
		transport.Next = roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK,
				Body: io.NopCloser(io.MultiReader(strings.NewReader("{"), failing{cause}))}, nil
		})
		response, err = transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(response.Body); err == nil ||
			(strings.Contains(err.Error(), canary) && !errors.Is(err, io.ErrUnexpectedEOF)) {
			t.Errorf("reading the body: %v", err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestError verifies the messages of the errors that Error returns. A message that may quote the response is replaced
// by a general message. The message of a Status stays, without line breaks.
func TestError(t *testing.T) {
	cause := fmt.Errorf("no kind %q is registered", canary)
	err := Error(t.Context(), cause)
	if strings.Contains(err.Error(), canary) || !errors.Is(err, cause) {
		t.Errorf("%q", err)
	}
	status := &apierrors.StatusError{ErrStatus: metav1.Status{Message: "a\nb", Code: 403,
		Reason: metav1.StatusReasonForbidden}}
	if err := Error(t.Context(), fmt.Errorf("wrapped: %w", status)); err.Error() != "a b" ||
		!apierrors.IsForbidden(err) {
		t.Errorf("%q", err)
	}
	status.ErrStatus.Code = http.StatusOK
	if err := Error(t.Context(), status); IsTyped(err) {
		t.Errorf("%q is typed", err)
	}
	if err := Error(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestRedact(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://member/api", nil)
	r.Header.Set("Authorization", "Bearer secret-token")
	got := redact(r, "you sent\nsecret-token\x1b"+strings.Repeat("x", 10_000))
	if strings.Contains(got, "secret-token") || strings.ContainsAny(got, "\n\x1b") || len(got) > 2*maxLogged {
		t.Errorf("%q", got)
	}
}
