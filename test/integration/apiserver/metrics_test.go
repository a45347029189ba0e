// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestMetricsByCluster verifies that the metrics for a registered cluster have a label with the name of the cluster. A
// name that a client invents must not appear in the metrics.
func TestMetricsByCluster(t *testing.T) {
	const invented = "of-no-registration"
	set().HostCluster(t, host)
	a := actor{User: set().User(t, "actor")}
	set().Bind(t, "actor", fixture.Grant{Role: "admin", Subjects: fixture.KubeVisionUsers(a.User), Cluster: host})
	client := direct(t)
	a.Login = a.User.Login(t, client, wire.DirectPath)
	list := wire.Request{Path: wire.DirectPath + onHost + "/resources/namespaces"}
	becomes(t, client, wire.OK, as(a.AccessToken, list))
	other := kube(t, "operator", "system:masters") // this user may use every cluster, whatever its name is
	other.Call(t, wire.Request{Path: wire.GroupPath + "/clusters/" + invented + "/resources/pods"}).Want(t,
		wire.ClusterNotFound)

	text := string(direct(t, admin()).Send(t, wire.Request{Path: "/metrics"}).Body)
	for _, want := range []string{
		`kubevision_apiserver_cluster_requests_total{cluster="host",code="0"}`,
		`kubevision_apiserver_cluster_calls_total{cluster="host",status="2xx"}`,
		`kubevision_apiserver_cluster_call_duration_seconds_count{cluster="host"}`,
		`kubevision_build_info{commit="`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(text, invented) {
		t.Error("a client has added a cluster to the metrics")
	}
}

func TestMetricsAreDocumented(t *testing.T) {
	root, err := localcluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(direct(t, admin()).Send(t, wire.Request{Path: "/metrics"}).Body)
	served := regexp.MustCompile(`(?m)^# HELP (kubevision_\S+) (\S+) `).FindAllStringSubmatch(text, -1)
	if len(served) < 10 {
		t.Errorf("only %d metrics were found", len(served))
	}
	for _, m := range served {
		if !strings.Contains(string(page), "`"+m[1]+"`") {
			t.Errorf("docs/metrics.md lacks %s", m[1])
		}
		if m[2] != "[ALPHA]" && m[2] != "[BETA]" && m[2] != "[STABLE]" {
			t.Errorf("%s has no stability level", m[1])
		}
	}
}
