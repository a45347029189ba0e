// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

var requestCounter = regexp.MustCompile(
	`(?m)^kubevision_apiserver_requests_total\{code="(\w+)",method="GET",` +
		`route="/clusters/\{cluster\}/namespaces/[^"]*"\} (\d+)$`)

func requestsByCode(ctx context.Context, metrics *wire.Client) (map[string]string, error) {
	r, err := metrics.Do(ctx, wire.Request{Path: "/metrics"})
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, match := range requestCounter.FindAllSubmatch(r.Body, -1) {
		out[string(match[1])] += string(match[2]) + " "
	}
	return out, nil
}

// TestClientsThatHangUp verifies that requests whose clients disconnect have a separate code in the metrics, and are
// not logged as failures.
func TestClientsThatHangUp(t *testing.T) {
	metrics := env.Administrator(t)
	slow := newStandin(t)
	p, c := onStandin(t, slow)
	before, err := requestsByCode(t.Context(), metrics)
	if err != nil {
		t.Fatal(err)
	}
	arrived, never := make(chan struct{}), make(chan struct{})
	slow.answer(podsPath, holding(arrived, never))
	ctx, hangUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := p.get(ctx, c.Name, "/namespaces/default/resources/pods")
		ended <- err
	}()
	receive(t, fixture.Patience, "wait for the request", arrived)
	hangUp()
	if err := receive(t, fixture.Patience, "wait for the end of the request", ended); err == nil {
		t.Fatal("the request was answered")
	}
	fixture.Eventually(t, "count the request", func(ctx context.Context) error {
		after, err := requestsByCode(ctx, metrics)
		if err != nil {
			return err
		}
		for _, failure := range []string{"50000", "50200"} {
			if after[failure] != before[failure] {
				t.Errorf("of code %s there were %q, and there are %q", failure, before[failure], after[failure])
			}
		}
		if after["canceled"] == before["canceled"] {
			return fmt.Errorf("the counts are %v", after)
		}
		return nil
	})
	for name, text := range env.Logs(t) {
		if !strings.HasPrefix(name, "kubevision-apiserver") {
			continue
		}
		for line := range bytes.Lines(text) {
			if bytes.Contains(line, []byte("Request failed")) && bytes.Contains(line, []byte("context canceled")) {
				t.Errorf("a failure in the log: %s", line)
			}
		}
	}
}
