// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const bodyBytes = 3 << 20

func post(endpoint, path, contentType, bearer, body string) func(context.Context) (*http.Request, error) {
	return func(ctx context.Context) (*http.Request, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+wire.DirectPath+path,
			strings.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("creating a request: %w", err)
		}
		r.Header.Set("Authorization", "Bearer "+bearer)
		r.Header.Set("Content-Type", contentType)
		return r, nil
	}
}

// TestLargeBodiesOfStrangers verifies that the server needs little memory for unauthenticated requests with large
// bodies.
func TestLargeBodiesOfStrangers(t *testing.T) {
	r := replica(t)
	before := peakMiB(t, r)
	c := client(t)
	c.Timeout = 5 * time.Second // the server closes the connection, so some requests get no response
	codes := flood(t, c, 300, post(r.Endpoint(), "/auth/login", "application/json", "made-up",
		strings.Repeat(" ", bodyBytes)))
	if codes[wire.OK] > 0 {
		t.Errorf("codes %v", codes)
	}
	if got := peakMiB(t, r); got > before+128 {
		t.Errorf("the program held %.0f MiB, %.0f before", got, before)
	}
	survives(t, r, mostMiB)
}

// TestLargeManifests verifies that the server needs limited memory when one user sends many large manifests at once.
func TestLargeManifests(t *testing.T) {
	r := replica(t)
	ns := set().Namespace(t, "manifests")
	bearer := token(t, r, "dev", ns)
	yaml := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nlist:\n" + strings.Repeat("- a\n", 1500<<10/4-100)
	path := "/clusters/" + host + "/namespaces/" + ns + "/resources/configmaps"
	codes := flood(t, client(t), 48, post(r.Endpoint(), path, "application/yaml", bearer, yaml))
	if codes[wire.Internal] > 0 {
		t.Errorf("codes %v", codes)
	}
	survives(t, r, mostMiB)
}
