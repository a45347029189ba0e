// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/stepup"
)

// busy responds with status 429 to the first requests, and with an object to all later requests.
type busy struct {
	times, seen atomic.Int32
}

// RoundTrip implements http.RoundTripper.
func (b *busy) RoundTrip(r *http.Request) (*http.Response, error) {
	status := http.StatusCreated
	if b.seen.Add(1) <= b.times.Load() {
		status = http.StatusTooManyRequests
	}
	return &http.Response{
		StatusCode: status, Request: r, Header: http.Header{"Content-Type": {"application/json"}, "Retry-After": {"0"}},
		Body: io.NopCloser(strings.NewReader(
			`{"apiVersion":"kubevision.io/v1alpha1","kind":"KubeVisionUser","metadata":{"name":"bob"}}`)),
	}, nil
}

func callerOf(t *testing.T, next http.RoundTripper) *Client {
	t.Helper()
	config := &rest.Config{Host: "https://cluster.example", QPS: -1}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	caller, err := newClient(&Connection{config: config, transport: next}, "alice",
		transport.ImpersonationConfig{UserName: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	return caller
}

func userCall() Call {
	return Call{Method: http.MethodPost, Resource: Resource{
		GroupVersionResource: schema.GroupVersionResource{Group: "kubevision.io", Version: "v1alpha1",
			Resource: "kubevisionusers"},
	}, Body: []byte(`{}`)}
}

// TestNoSensitiveRequestLeaves verifies that a sensitive request without a code of the second factor is not sent to the
// cluster. Each method that sends requests returns the error about the missing code.
func TestNoSensitiveRequestLeaves(t *testing.T) {
	cluster := &busy{}
	caller := callerOf(t, cluster)
	missing := envelope.New(40102, "send a code").WithCause(apierrors.NewConflict(schema.GroupResource{},
		"credentials", nil))
	missing.Data = "reverify"
	refusing := stepup.WithProof(t.Context(), func() error { return missing })
	objects, err := caller.objects()
	if err != nil {
		t.Fatal(err)
	}
	writes := map[string]func(context.Context) error{
		"Do": func(ctx context.Context) error {
			_, err := caller.Do(ctx, userCall())
			return err
		},
		"Stream": func(ctx context.Context) error {
			_, err := caller.Stream(ctx, userCall())
			return err
		},
		"Prove":  func(ctx context.Context) error { return caller.Prove(ctx, userCall()) },
		"Create": func(ctx context.Context) error { return objects.Create(ctx, &kubevisionv1alpha1.KubeVisionUser{}) },
	}
	for name, write := range writes {
		t.Run(name, func(t *testing.T) {
			if got := envelope.FromAPIError(write(t.Context())); got.Code != 50000 {
				t.Errorf("outside of a request: %d %s", got.Code, got.Message)
			}
			err := write(refusing)
			if got := envelope.FromAPIError(err); got.Code != missing.Code || got.Data != missing.Data {
				t.Errorf("got %d %v, want %d %v", got.Code, got.Data, missing.Code, missing.Data)
			}
			if name != "Prove" && apierrors.IsConflict(err) {
				t.Error("the refusal looks like an answer of the cluster")
			}
		})
	}
	if n := cluster.seen.Load(); n != 0 {
		t.Errorf("%d requests have left", n)
	}
}

// TestRetriesSpendOneCode verifies that the code of the second factor is checked only once for a request and all its
// retries.
func TestRetriesSpendOneCode(t *testing.T) {
	cluster := &busy{}
	cluster.times.Store(maxRetries)
	asked := 0
	ctx := stepup.WithProof(t.Context(), func() error {
		asked++
		return nil
	})
	if _, err := callerOf(t, cluster).Do(ctx, userCall()); err != nil {
		t.Fatal(err)
	}
	if n := cluster.seen.Load(); n != maxRetries+1 || asked != 1 {
		t.Errorf("%d requests and %d codes", n, asked)
	}
}

// TestNobodyBringsAnIdentity verifies that impersonation headers of a caller are rejected.
func TestNobodyBringsAnIdentity(t *testing.T) {
	for _, header := range []string{"Impersonate-User", "Impersonate-Group", "Impersonate-Extra-x"} {
		cluster := &busy{}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://cluster.example/api/v1/pods",
			http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(header, "admin")
		response, err := (&stepup.RoundTripper{Next: cluster}).RoundTrip(r)
		if err == nil {
			_ = response.Body.Close()
			t.Errorf("%s has passed", header)
		}
	}
}
