// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package podmetrics

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/objects"
)

const (
	spec = `{"containers":[
		{"name":"main","resources":{"requests":{"cpu":"250m","memory":"64Mi"},"limits":{"memory":"128Mi"}}},
		{"name":"side","resources":{"requests":{"cpu":"1"}}}]}`
	measured = `{"metadata":{"namespace":"n","name":"p"},"timestamp":"2026-01-01T00:00:00Z","window":"30s",
		"containers":[{"name":"main","usage":{"cpu":"1500u","memory":"32Mi"}},
		{"name":"side","usage":{"cpu":"2","memory":"1Ki"}}]}`
	want = `{"cpuMilli":2002,"memoryBytes":33555456,"cpuRequestMilli":1250,"memoryRequestBytes":67108864,` +
		`"memoryLimitBytes":134217728,` +
		`"timestamp":"2026-01-01T00:00:00Z","window":"30s","containers":[` +
		`{"name":"main","cpuMilli":2,"memoryBytes":33554432,"cpuRequestMilli":250,"memoryRequestBytes":67108864,` +
		`"memoryLimitBytes":134217728},` +
		`{"name":"side","cpuMilli":2000,"memoryBytes":1024,"cpuRequestMilli":1000}]}`
)

func pods(names ...string) []objects.Object {
	var out []objects.Object
	for _, name := range names {
		out = append(out, objects.Object{"metadata": json.RawMessage(`{"namespace":"n","name":"` + name + `"}`),
			"spec": json.RawMessage(spec)})
	}
	return out
}

func TestMetricsStandBesideThePod(t *testing.T) {
	var m Measured
	if err := json.Unmarshal([]byte(measured), &m); err != nil {
		t.Fatal(err)
	}
	known := map[[2]string]Measured{{"n", "p"}: m}
	for _, tc := range []struct {
		name, status, metrics string
		available             bool
	}{
		{"p", `"available"`, want, true}, {"new", `"pending"`, "", true}, {"p", `"unavailable"`, "", false},
	} {
		metrics := &Metrics{known: known}
		if !tc.available {
			metrics.err = errors.New("no metrics")
		}
		pod := pods(tc.name)[0]
		if err := metrics.AddTo(pod); err != nil {
			t.Fatal(err)
		}
		if string(pod[StatusField]) != tc.status || string(pod[Field]) != tc.metrics {
			t.Errorf("%s: got %s\n%s\nwant %s\n%s", tc.name, pod[StatusField], pod[Field], tc.status, tc.metrics)
		}
	}
}

// TestContainersAreCharged verifies how the memory for decoding the containers of a Pod is limited:
//
//   - While the containers are decoded, the memory counts toward the memory limit of the request.
//   - Afterwards, the memory no longer counts.
//   - If a single Pod needs too much memory, the metrics of the Pod are unavailable.
func TestContainersAreCharged(t *testing.T) {
	pod := pods("p")[0]
	pod["spec"] = json.RawMessage(`{"containers":[{}` + strings.Repeat(",{}", 8<<10) + `]}`)
	metrics := &Metrics{
		known: map[[2]string]Measured{{"n", "p"}: {}}, account: budget.New(8<<20).Account("user", 0),
	}
	if err := metrics.AddTo(pod); !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("many containers: %v", err)
	}
	shared := budget.New(64 << 20)
	metrics.account = shared.Account("user", 0)
	if err := metrics.AddTo(pod); err != nil || shared.Used() != 0 {
		t.Errorf("with more memory: %v, and %d bytes are charged still", err, shared.Used())
	}
	pod["spec"] = json.RawMessage(`{"containers":[{}` + strings.Repeat(",{}", 32<<10) + `]}`)
	if err := metrics.AddTo(pod); err != nil || string(pod[StatusField]) != `"unavailable"` {
		t.Errorf("a Pod beyond the bound of one object: %v, %s", err, pod[StatusField])
	}
}
