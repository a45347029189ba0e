// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

type body map[string]any

// visitor is a test user with a session. Either all requests of one visitor pass through kube-apiserver, or none.
type visitor struct {
	t      *testing.T
	door   door
	client *wire.Client
	user   fixture.User
	login  fixture.Login
}

func visit(t *testing.T, d door) *visitor {
	t.Helper()
	v := &visitor{t: t, door: d, client: d.client, user: target.set().User(t, "conformance-visitor")}
	if v.client == nil {
		v.client = d.clients[stranger]
	}
	v.login = v.user.Login(t, v.client, d.base)
	return v
}

// call sends a request with an access token, which may be empty. The test fails unless the response contains the
// expected code.
func (v *visitor) call(code int, token, method, path string, send body) wire.Envelope {
	v.t.Helper()
	r := wire.Request{Method: method, Path: v.door.base + path}
	if send != nil {
		text, err := json.Marshal(send)
		if err != nil {
			v.t.Fatal(err)
		}
		r.Body = string(text)
	}
	switch {
	case v.door.header || v.door.clients != nil:
		r.Token = token
	default:
		r.Bearer = token
	}
	e := v.client.Call(v.t, r).Want(v.t, code)
	results.note(code, v.door.name, method+" "+path, e.Code == code)
	return e
}

func (v *visitor) own(code int, method, path string, send body) wire.Envelope {
	v.t.Helper()
	return v.call(code, v.login.AccessToken, method, path, send)
}

func (v *visitor) post(code int, path string, send body) wire.Envelope {
	v.t.Helper()
	return v.call(code, "", http.MethodPost, path, send)
}

func (v *visitor) challenge() string {
	v.t.Helper()
	var data struct {
		SessionToken string `json:"sessionToken"`
	}
	v.post(wire.TwoFactorRequired, "/auth/login",
		body{"username": v.user.Name, "password": v.user.Password}).Into(v.t, &data)
	return data.SessionToken
}

// enrolment contains the values that the set-up of a second factor returns. No later request returns these values.
type enrolment struct {
	Secret        string   `json:"secret"`
	RecoveryCodes []string `json:"recoveryCodes"`
}

// enrol sets up a second factor with the one-time code of the previous period of 30 seconds. The caller can then still
// use two valid codes: those of the current period and of the next period.
func (v *visitor) enrol() enrolment {
	v.t.Helper()
	var made enrolment
	v.own(wire.OK, http.MethodPost, "/auth/2fa/setup", nil).Into(v.t, &made)
	v.own(wire.OK, http.MethodPost, "/auth/2fa/enable", body{"code": fixture.Code(v.t, made.Secret, -1)})
	return made
}

func (v *visitor) aged(raw string) string {
	v.t.Helper()
	token := fixture.Take(v.t, raw)
	return token.Aged(time.Minute).Sign(v.t, target.set().SigningKey(v.t, token.Header["kid"]))
}

func (v *visitor) expire() {
	v.t.Helper()
	s := &kubevisionv1alpha1.KubeVisionSession{ObjectMeta: metav1.ObjectMeta{Name: fixture.Take(v.t,
		v.login.AccessToken).Session()}}
	patch := client.RawPatch(types.MergePatchType,
		[]byte(`{"spec":{"expirationTime":"`+time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)+`"}}`))
	if err := target.Programs.Patch(v.t.Context(), s, patch); err != nil {
		v.t.Fatal(err)
	}
}

func ended(v *visitor) func(context.Context) error { return v.answered(wire.TokenExpired) }

func setupRequired(v *visitor) func(context.Context) error { return v.answered(wire.TwoFactorRequired) }

func (v *visitor) answered(code int) func(context.Context) error {
	r := wire.Request{Path: v.door.base + "/users/me", Bearer: v.login.AccessToken}
	if v.door.header || v.door.clients != nil {
		r.Bearer, r.Token = "", v.login.AccessToken
	}
	return func(ctx context.Context) error { return v.client.Answers(ctx, code, r) }
}
