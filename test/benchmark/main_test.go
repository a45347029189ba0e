// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package benchmark_test measures kubevision-apiserver in a real control plane, on loopback: what a flood of wrong logins, or of one user's
// requests, costs in memory and in patience of the others, and what a login, an authenticated request and a list of many Pods cost beside what
// cannot be done for less.
//
// KubeVision's own programs run under the memory limits of config/. The absolute figures are those of the machine, on which the load, the server, kube-apiserver and etcd share the processors. The ratios
// compare what was measured in turns in the same run. Nothing fails for being slow; a wrong answer fails.
package benchmark_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

// host is the KubeVisionCluster of the cluster that KubeVision runs in.
const host = "host"

// env is the installation that all benchmarks of the package share.
var env *environment.Environment

// floodTime is how long each of the floods lasts beside which others work.
var floodTime = flag.Duration("flood", 5*time.Second, "how long each of the floods lasts beside which ten users work")

func TestMain(m *testing.M) {
	if os.Getenv(senderVariable) != "" {
		if err := send(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(memberVariable) != "" {
		if err := serveEndlessly(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" { // "go test ./..." would start a control plane for nothing
		os.Exit(m.Run())
	}
	os.Exit(environment.MainConfined(m, func(e *environment.Environment) { env = e }))
}

func set() fixture.Set { return fixture.Set{Client: env.Client} }

// direct makes a client of kubevision-apiserver.
func direct(b *testing.B) *wire.Client {
	b.Helper()
	c, err := wire.New(env.KubeVision.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		b.Fatal(err)
	}
	return c
}
