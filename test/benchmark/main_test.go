// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package benchmark_test measures KubeVision in a real control plane on one machine. For example, the benchmarks
// measure:
//
//   - the peak memory of kubevision-apiserver while clients send many requests at once, such as logins
//   - the duration of one user's requests while another user sends many requests
//   - the duration of a login, compared with the duration of hashing the password
//   - the duration of an authenticated request, compared with a request to kube-apiserver
//   - the duration of a list of many Pods, compared with a list request to kube-apiserver
//
// The programs of KubeVision run with the memory limits in config/. The absolute figures depend on the machine, because
// the clients, KubeVision, kube-apiserver and etcd share the processors. The ratios compare measurements that alternate
// in the same run. A slow result does not fail a benchmark. A wrong response fails the benchmark.
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

// host is the name of the KubeVisionCluster that registers the cluster in which KubeVision runs.
const host = "host"

var env *environment.Environment

var (
	turnTime = flag.Duration("turn", time.Second,
		"how long each contender of BenchmarkCachedList sends before the next one")
	rounds = flag.Int("rounds", 2, "the turns of each contender of BenchmarkCachedList")
	// crowdSize is the number of Pods in the second run of BenchmarkCachedList. If crowdSize is 0, there is no second
	// run.
	crowdSize     = flag.Int("crowd", 0, "a larger number of Pods for BenchmarkCachedList, such as 50000")
	answerPattern = flag.String("answers", "", "a regular expression of the answers of BenchmarkCachedList that are "+
		"measured besides the limit and kube-apiserver; empty means all of them")
)

// floodTime is the duration of each phase of BenchmarkFloods, with or without a flood of requests. In each phase, ten
// users list Pods.
var floodTime = flag.Duration("flood", 5*time.Second, "the duration of each phase of BenchmarkFloods")

// runChild does the work of a child process if a benchmark has started this process, for example to send requests.
// Otherwise, isChild is false.
func runChild() (isChild bool, err error) {
	switch file := os.Getenv(servedFileVariable); {
	case os.Getenv(senderVariable) != "":
		return true, runSender(os.Stdin, os.Stdout)
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
	switch isChild, err := runChild(); {
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	case isChild:
		return
	}
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" { // "go test ./..." would start a control plane without need
		os.Exit(m.Run())
	}
	os.Exit(environment.Main(m, environment.Options{ConfineMemory: true}, func(e *environment.Environment) { env = e }))
}

func set() fixture.Set { return fixture.Set{Client: env.Client} }

// direct returns a client that connects to kubevision-apiserver directly, and not through kube-apiserver.
func direct(b *testing.B) *wire.Client {
	b.Helper()
	c, err := wire.New(env.KubeVision.Endpoint(), env.KubeVision.CAPEM())
	if err != nil {
		b.Fatal(err)
	}
	return c
}
