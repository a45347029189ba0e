// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
)

func call(ctx context.Context, method, path, token string, body any, into any) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(env.KubeVision.CAPEM())
	httpClient := &http.Client{
		Timeout: 15 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives: true},
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, env.KubeVision.Endpoint()+"/api/v1"+path,
		bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := httpClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s %s answers %s: %.300s", method, path, response.Status, answer)
	}
	return nil
}

func tryLogin(
	ctx context.Context, user, password string, want dashboardv1alpha1.Code,
) (*dashboardv1alpha1.Login, error) {
	var answer dashboardv1alpha1.LoginEnvelope
	body := dashboardv1alpha1.LoginRequest{Username: user, Password: password}
	if err := call(ctx, http.MethodPost, "/auth/login", "", body, &answer); err != nil {
		return nil, err
	}
	if answer.Code != want {
		return nil, fmt.Errorf("the login of %s is answered %d (%s), want %d", user, answer.Code, answer.Message, want)
	}
	return answer.Data, nil
}

func awaitLogin(tb testing.TB, user, password string, want dashboardv1alpha1.Code) *dashboardv1alpha1.Login {
	tb.Helper()
	var login *dashboardv1alpha1.Login
	eventually(tb, soon, "log in", func(ctx context.Context) (err error) {
		login, err = tryLogin(ctx, user, password, want)
		return err
	})
	return login
}

func whoami(ctx context.Context, token string) (dashboardv1alpha1.Code, error) {
	var answer dashboardv1alpha1.Header
	err := call(ctx, http.MethodGet, "/users/me", token, nil, &answer)
	return answer.Code, err
}

func awaitToken(tb testing.TB, token string, want dashboardv1alpha1.Code) {
	tb.Helper()
	eventually(tb, soon, "use an access token", func(ctx context.Context) error {
		got, err := whoami(ctx, token)
		if err == nil && got != want {
			err = fmt.Errorf("it is answered %d, want %d", got, want)
		}
		return err
	})
}
