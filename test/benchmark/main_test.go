// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package benchmark_test measures kubevision-apiserver in a real control plane, on loopback: the memory and the delay
// of other users during floods of wrong logins or of requests of one user, and the cost of a login, an authenticated
// request and a list of many Pods in comparison with the necessary part of each.
//
// KubeVision's programs run under the memory limits of config/. The absolute figures depend on the machine: the load,
// the server, kube-apiserver and etcd share its processors. The ratios compare measurements that alternate in the same
// run. A slow result does not fail the benchmark; a wrong response does.
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

// host is the name of the registration of the host.
const host = "host"

// env is the installation that all benchmarks of the package share.
var env *environment.Environment

// Selections of BenchmarkCachedList.
var (
	turnTime = flag.Duration("turn", time.Second,
		"how long each contender of BenchmarkCachedList sends before the next one")
	rounds    = flag.Int("rounds", 2, "the turns of each contender of BenchmarkCachedList")
	crowdSize = flag.Int("crowd", 0, "a larger number of Pods for BenchmarkCachedList, such as 50000")
	answers   = flag.String("answers", "", "a regular expression of the answers of BenchmarkCachedList that are "+
		"measured besides the limit and kube-apiserver; empty means all of them")
)

// floodTime is the length of each flood of BenchmarkFloods.
var floodTime = flag.Duration("flood", 5*time.Second, "how long each of the floods lasts beside which ten users work")

// otherMain runs another function of this program if an environment variable selects one.
func otherMain() (selected bool, err error) {
	switch file := os.Getenv(limitVariable); {
	case os.Getenv(senderVariable) != "":
		return true, send(os.Stdin, os.Stdout)
	case os.Getenv(memberVariable) != "":
		return true, serveEndlessly(os.Stdin, os.Stdout)
	case os.Getenv(audienceVariable) != "":
		return true, attend(os.Stdin, os.Stdout)
	case file != "":
		return true, serveFile(file, os.Stdin, os.Stdout)
	default:
		return false, nil
	}
}

func TestMain(m *testing.M) {
	switch selected, err := otherMain(); {
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	case selected:
		return
	}
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" { // "go test ./..." would start a control plane without need
		os.Exit(m.Run())
	}
	os.Exit(environment.Main(m, environment.Options{ConfineMemory: true}, func(e *environment.Environment) { env = e }))
}

func set() fixture.Set { return fixture.Set{Client: env.Client} }

// Without benchmarks, "go test ./..." needs no control plane.
func direct(b *testing.B) *wire.Client {
	b.Helper()
	c, err := wire.New(env.KubeVision.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		b.Fatal(err)
	}
	return c
}
