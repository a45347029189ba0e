// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Codes that clients handle.
const (
	OK                 = 0
	Required           = 40001
	Invalid            = 40002
	Unauthenticated    = 40100
	TokenExpired       = 40101
	TwoFactorRequired  = 40102
	TwoFactorFailed    = 40103
	Forbidden          = 40300
	ClusterForbidden   = 40301
	NamespaceForbidden = 40302
	NotFound           = 40400
	UserNotFound       = 40401
	ClusterNotFound    = 40402
	Conflict           = 40900
	Stale              = 40901
	Unparseable        = 42200
	Rejected           = 42201
	TooManyRequests    = 42900
	Internal           = 50000
	Unreachable        = 50200
)

// Codes returns all values that the field "code" of a response may have.
func Codes() []int {
	return []int{
		OK, Required, Invalid, Unauthenticated, TokenExpired, TwoFactorRequired, TwoFactorFailed, Forbidden,
		ClusterForbidden, NamespaceForbidden,
		NotFound, UserNotFound, ClusterNotFound, Conflict, Stale, Unparseable, Rejected, TooManyRequests, Internal,
		Unreachable,
	}
}

// Meta is the metadata of a response.
type Meta struct {
	RequestID         string   `json:"requestId"`
	Source            string   `json:"source"`
	Field             string   `json:"field"`
	Continue          string   `json:"continue"`
	Total             *int64   `json:"total"`
	RetryAfterSeconds int64    `json:"retryAfterSeconds"`
	Partial           bool     `json:"partial"`
	Stale             bool     `json:"stale"`
	AsOf              string   `json:"asOf"`
	NotModified       bool     `json:"notModified"`
	Namespaces        []string `json:"namespaces"`
	Warnings          []string `json:"warnings"`
}

// Envelope is a response of the API.
type Envelope struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
	Meta    Meta            `json:"meta"`
	// Raw is the whole body.
	Raw []byte `json:"-"`
}

var requestID = regexp.MustCompile(`^req_[0-9A-HJKMNP-TV-Z]{26}$`)

// Envelope decodes a response. It fails the test if the response is not a valid envelope (see Parse).
func (r *Response) Envelope(tb testing.TB) Envelope {
	tb.Helper()
	e, err := r.Parse()
	if err != nil {
		tb.Fatalf("not an envelope: %v\nHTTP %d %v\n%.600s", err, r.Status, r.Header, r.Body)
	}
	return e
}

// Parse decodes a response, and returns all violations of the format of an envelope.
func (r *Response) Parse() (Envelope, error) {
	e, err := decode(r.Body)
	return e, errors.Join(err, r.CheckHeader(e.Meta.RequestID))
}

// CheckHeader verifies the headers of a response. id is the request id in the body, or empty if there is no body.
func (r *Response) CheckHeader(id string) error {
	var errs []error
	if r.Status != http.StatusOK {
		errs = append(errs, fmt.Errorf("HTTP status %d", r.Status))
	}
	if got := r.Header.Values("Content-Type"); len(got) != 1 || got[0] != "application/json; charset=utf-8" {
		errs = append(errs, fmt.Errorf("Content-Type %q", got))
	}
	if got := strings.Join(r.Header.Values("Cache-Control"), ","); !strings.Contains(got, "no-store") {
		errs = append(errs, fmt.Errorf("Cache-Control %q", got))
	}
	if got := r.Header.Values("X-Content-Type-Options"); !slices.Contains(got, "nosniff") {
		errs = append(errs, fmt.Errorf("X-Content-Type-Options %q", got))
	}
	ids := r.Header.Values("X-Request-Id")
	if len(ids) != 1 || !requestID.MatchString(ids[0]) || (id != "" && ids[0] != id) {
		errs = append(errs, fmt.Errorf("X-Request-Id %q beside meta.requestId %q", ids, id))
	}
	for _, name := range []string{"Location", "Www-Authenticate", "Set-Cookie"} {
		if got := r.Header.Values(name); len(got) > 0 {
			errs = append(errs, fmt.Errorf("%s %q", name, got))
		}
	}
	return errors.Join(errs...)
}

func decode(body []byte) (Envelope, error) {
	e := Envelope{Raw: body}
	decoder := json.NewDecoder(bytes.NewReader(body))
	fields := map[string]json.RawMessage{}
	if err := decoder.Decode(&fields); err != nil {
		return e, fmt.Errorf("the body is not a JSON object: %w", err)
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return e, fmt.Errorf("there is more than one JSON document in the body: %w", err)
	}
	if names := slices.Sorted(maps.Keys(fields)); !slices.Equal(names, []string{"code", "data", "message", "meta"}) {
		return e, fmt.Errorf("the fields are %v", names)
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return e, fmt.Errorf("the fields have other types: %w", err)
	}
	err := e.check()
	return e, err
}

func (e Envelope) check() error {
	var errs []error
	if !slices.Contains(Codes(), e.Code) {
		errs = append(errs, fmt.Errorf("code %d is not in the contract", e.Code))
	}
	if e.Message == "" {
		errs = append(errs, errors.New("message is empty"))
	}
	if !requestID.MatchString(e.Meta.RequestID) {
		errs = append(errs, fmt.Errorf("meta.requestId is %q", e.Meta.RequestID))
	}
	if e.Code == TooManyRequests && e.Meta.RetryAfterSeconds < 1 {
		errs = append(errs, errors.New("too many requests, without meta.retryAfterSeconds"))
	}
	if e.Code == Internal && strings.Count(e.Message, " ") > 20 {
		errs = append(errs, fmt.Errorf("an internal error must not contain details: %q", e.Message))
	}
	return errors.Join(errs...)
}

// Want fails the test unless the envelope has the given code.
func (e Envelope) Want(tb testing.TB, code int) Envelope {
	tb.Helper()
	if e.Code != code {
		tb.Errorf("code %d (%s, meta.field %q), want %d", e.Code, e.Message, e.Meta.Field, code)
	}
	return e
}

// Into decodes e.Data into the variable to which target points.
func (e Envelope) Into(tb testing.TB, target any) {
	tb.Helper()
	if err := json.Unmarshal(e.Data, target); err != nil {
		tb.Fatalf("reading the data: %v\n%.600s", err, e.Data)
	}
}
