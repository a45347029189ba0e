// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

// Target is the installation under test, as an administrator of its cluster sees it.
type Target struct {
	// DirectURL is the address of kubevision-apiserver.
	DirectURL string
	// DirectCA is the CA certificate for connections to kubevision-apiserver, in PEM format.
	DirectCA []byte
	// Admin has all rights in the cluster.
	Admin client.Client
	// Programs is a client for objects that only the programs of KubeVision may write, for example sessions.
	Programs client.Client
	// Anonymous is the configuration of a client that calls kube-apiserver without a credential. It is nil if
	// kube-apiserver rejects such requests.
	Anonymous *rest.Config
	// Kubernetes returns a client configuration for requests to kube-apiserver as the given user and groups.
	Kubernetes func(user string, groups ...string) (*rest.Config, error)
	// Host is the name of the registration of the cluster in which KubeVision runs.
	Host string
	// Started is true if the installation was started for these tests, which may then reconfigure it. Otherwise,
	// Environment is nil.
	Started     bool
	Environment *environment.Environment

	// older contains the throttles that existed before the tests, with the time of the last failure of each.
	older map[types.UID]metav1.MicroTime
}

var target Target

func TestMain(m *testing.M) {
	flag.Parse()
	if *installationURL != "" {
		os.Exit(runForeign(m))
	}
	use := func(e *environment.Environment) {
		target = Target{
			DirectURL: e.KubeVision.Endpoint(), DirectCA: e.KubeVision.CAPEM(),
			Admin: e.Client, Programs: e.Programs, Anonymous: e.Cluster.AnonymousConfig(),
			Kubernetes: e.Cluster.UserConfig, Host: "host", Started: true, Environment: e,
		}
	}
	switch *readCache {
	case "on":
		os.Exit(environment.Main(m, environment.Options{APIServerArgs: []string{cacheOn}}, use))
	case "off":
		os.Exit(environment.Main(m, environment.Options{APIServerArgs: []string{cacheOff}}, use))
	case "stale":
		os.Exit(environment.Main(m, environment.Options{APIServerArgs: []string{cacheOn}, Stale: true}, use))
	default:
		fmt.Fprintln(os.Stderr, "error: -read-cache must be on, off or stale")
		os.Exit(1)
	}
}

func (target Target) set() fixture.Set {
	return fixture.Set{Client: target.Admin, Programs: target.Programs}
}

// forgive deletes the KubeVisionLoginThrottles that record failed logins since the start of the tests. Otherwise, these
// throttles would block further logins.
func (target Target) forgive(tb testing.TB) {
	tb.Helper()
	if err := target.forgiveAll(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

func (target Target) forgiveAll(ctx context.Context) error {
	var all kubevisionv1alpha1.KubeVisionLoginThrottleList
	if err := target.Admin.List(ctx, &all); err != nil {
		return fmt.Errorf("listing login throttles: %w", err)
	}
	for i := range all.Items {
		last, known := target.older[all.Items[i].UID]
		if known && last.Equal(&all.Items[i].Spec.LastFailureTime) { // the tests have caused no failures
			continue
		}
		if err := client.IgnoreNotFound(target.Admin.Delete(ctx, &all.Items[i])); err != nil {
			return fmt.Errorf("forgiving failed logins: %w", err)
		}
	}
	return nil
}

func (target Target) direct(tb testing.TB) *wire.Client {
	tb.Helper()
	c, err := wire.New(target.DirectURL, target.DirectCA)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// as returns a client that sends requests to kube-apiserver as the given user and groups.
func (target Target) as(tb testing.TB, user string, groups ...string) *wire.Client {
	tb.Helper()
	config, err := target.Kubernetes(user, groups...)
	if err != nil {
		tb.Fatal(err)
	}
	return wire.Configured(tb, config)
}

func manifest(tb testing.TB, path ...string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "config"}, path...)...))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}
