// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

const (
	// credentialPeriod is the time between two requests that check the credential of this program for the host cluster.
	credentialPeriod = 2 * time.Second
	// credentialTimeout is the timeout of a request that checks the credential of this program for the host cluster.
	credentialTimeout = 2 * time.Second
)

// errCredentialRefused is the error of the readiness check while the host cluster rejects the credential of this
// program.
var errCredentialRefused = errors.New("the API server of the host cluster refuses the credential of this program")

// hostCredential records whether the host cluster accepts the credential of this program. The ServiceAccount token of a
// Pod becomes invalid when the Pod object is deleted, which may happen before the process ends. From then on, the
// process is not ready, because every request needs the host cluster.
type hostCredential struct {
	client  *http.Client
	target  *url.URL
	refused atomic.Bool
}

// newHostCredential returns a hostCredential. It also wraps the transport of the config: the hostCredential observes
// the responses to all requests of clients that are created with this config.
func newHostCredential(config *rest.Config) (*hostCredential, error) {
	h := &hostCredential{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &credentialRoundTripper{next: next, credential: h}
	})
	own := rest.CopyConfig(config)
	own.Timeout = credentialTimeout
	client, err := rest.HTTPClientFor(own)
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	base, _, err := rest.DefaultServerUrlFor(own)
	if err != nil {
		return nil, fmt.Errorf("reading the address of the host: %w", err)
	}
	h.client, h.target = client, base.JoinPath("version")
	return h, nil
}

// run checks the credential for the host cluster every credentialPeriod, until ctx ends.
func (h *hostCredential) run(ctx context.Context) {
	wait.UntilWithContext(ctx, h.ask, credentialPeriod)
}

func (h *hostCredential) ask(ctx context.Context) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, h.target.String(), http.NoBody)
	if err != nil {
		klog.FromContext(ctx).Error(err, "Failed to create a request to the host")
		return
	}
	if response, err := h.client.Do(request); err == nil {
		_ = response.Body.Close()
	}
}

// note records the HTTP status of a response of the host cluster. It ignores 429 and all statuses from 500, because
// they say nothing about the credential.
func (h *hostCredential) note(status int) {
	switch {
	case status == http.StatusUnauthorized:
		if !h.refused.Swap(true) {
			klog.Background().Error(errCredentialRefused, "Not ready")
		}
	case status < http.StatusInternalServerError && status != http.StatusTooManyRequests:
		if h.refused.Swap(false) {
			klog.Background().Info("The API server of the host cluster accepts the credential of this program again")
		}
	}
}

// check is a readiness check. It returns errCredentialRefused while the host cluster rejects the credential of this
// program.
func (h *hostCredential) check(*http.Request) error {
	if h.refused.Load() {
		return errCredentialRefused
	}
	return nil
}

type credentialRoundTripper struct {
	next       http.RoundTripper
	credential *hostCredential
}

// RoundTrip implements http.RoundTripper.
func (c *credentialRoundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.next.RoundTrip(r)
	if err == nil {
		c.credential.note(response.StatusCode)
	}
	return response, err
}
