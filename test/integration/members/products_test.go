// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// product describes a custom resource of other software, such as the resource "applications" of Argo CD.
type product struct {
	plural, singular, kind, group string
	short                         []string
}

// products returns custom resources of other software that is often installed with KubeVision. Some resource names,
// such as "clusters" and "users", also occur in KubeVision's API.
func products() []product {
	return []product{
		{"clusters", "cluster", "Cluster", "postgresql.cnpg.io", nil},
		{"clusters", "cluster", "Cluster", "cluster.x-k8s.io", []string{"cl"}},
		{"clusters", "cluster", "Cluster", "management.cattle.io", nil},
		{"users", "user", "User", "management.cattle.io", nil},
		{"users", "user", "User", "rabbitmq.com", nil},
		{"bindings", "binding", "Binding", "rabbitmq.com", nil},
		{"kubevirts", "kubevirt", "KubeVirt", "kubevirt.io", []string{"kv", "kvs"}},
		{"virtualmachines", "virtualmachine", "VirtualMachine", "kubevirt.io", []string{"vm", "vms"}},
		{"applications", "application", "Application", "argoproj.io", []string{"app", "apps"}},
		{"rollouts", "rollout", "Rollout", "argoproj.io", []string{"ro"}},
		{"workflows", "workflow", "Workflow", "argoproj.io", []string{"wf"}},
		{"certificates", "certificate", "Certificate", "cert-manager.io", []string{"cert", "certs"}},
		{"gateways", "gateway", "Gateway", "networking.istio.io", []string{"gw"}},
		{"gateways", "gateway", "Gateway", "gateway.networking.k8s.io", []string{"gtw"}},
		{"kustomizations", "kustomization", "Kustomization", "kustomize.toolkit.fluxcd.io", []string{"ks"}},
		{"helmreleases", "helmrelease", "HelmRelease", "helm.toolkit.fluxcd.io", []string{"hr"}},
		{"servicemonitors", "servicemonitor", "ServiceMonitor", "monitoring.coreos.com", []string{"smon"}},
		{"scaledobjects", "scaledobject", "ScaledObject", "keda.sh", []string{"so"}},
		{"kafkausers", "kafkauser", "KafkaUser", "kafka.strimzi.io", []string{"ku"}},
		{"backups", "backup", "Backup", "velero.io", nil},
		{"pipelineruns", "pipelinerun", "PipelineRun", "tekton.dev", []string{"pr", "prs"}},
		{"externalsecrets", "externalsecret", "ExternalSecret", "external-secrets.io", []string{"es"}},
		{"elasticsearches", "elasticsearch", "Elasticsearch", "elasticsearch.k8s.elastic.co", []string{"es"}},
		{"policies", "policy", "Policy", "kyverno.io", []string{"pol"}},
		{"searches", "search", "Search", "search.open-cluster-management.io", nil},
		{"nodes", "node", "Node", "longhorn.io", []string{"lhn"}},
		{"volumes", "volume", "Volume", "longhorn.io", []string{"lhv"}},
	}
}

func (p product) names() []string { return append([]string{p.plural, p.singular}, p.short...) }

func (p product) define(t *testing.T, s fixture.Set) {
	t.Helper()
	names := map[string]any{"plural": p.plural, "singular": p.singular, "kind": p.kind}
	for _, short := range p.short {
		list, _ := names["shortNames"].([]any)
		names["shortNames"] = append(list, short)
	}
	definition := map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": p.plural + "." + p.group}, "spec": map[string]any{
			"group": p.group, "scope": "Cluster", "names": names, "versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}},
			}},
		},
	}
	made := &unstructured.Unstructured{Object: definition}
	if strings.HasSuffix(p.group, ".k8s.io") {
		made.SetAnnotations(map[string]string{"api-approved.kubernetes.io": "unapproved"})
	}
	s.Create(t, made)
}

func (p product) make(t *testing.T, s fixture.Set) {
	t.Helper()
	// The API server serves a kind some time after its definition.
	fixture.Eventually(t, "make an object of "+p.plural+"."+p.group, func(ctx context.Context) error {
		return s.Client.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": p.group + "/v1", "kind": p.kind, "metadata": map[string]any{"name": p.singular},
		}})
	})
}

type kubectlCommand struct {
	kubectl, kubeconfig, cache string
}

func newKubectl(t *testing.T, c *localcluster.Cluster, config *rest.Config) *kubectlCommand {
	t.Helper()
	s := &kubectlCommand{kubectl: c.KubectlPath(), kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"),
		cache: t.TempDir()}
	if err := localcluster.WriteKubeconfig(config, s.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *kubectlCommand) run(t *testing.T, args ...string) string {
	t.Helper()
	args = append([]string{"--kubeconfig=" + s.kubeconfig, "--cache-dir=" + s.cache}, args...)
	cmd := exec.CommandContext(t.Context(), s.kubectl, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}

// TestOtherProductsKeepTheirNames verifies that KubeVision does not hide custom resources of other products from
// kubectl. The test compares the output of kubectl for a cluster with KubeVision and for a cluster without KubeVision.
// Some custom resources have names that also occur in the paths of KubeVision's API.
func TestOtherProductsKeepTheirNames(t *testing.T) {
	member := theOther(t)
	others := products()
	for i, name := range segments(t) {
		if name == "watch" || name == "proxy" {
			continue // kube-apiserver reads these segments as verbs, so no kind can have such a name
		}
		kind := fmt.Sprintf("Neighbour%d", i)
		others = append(others, product{name, strings.TrimSuffix(name, "s"), kind, "zz.example.com", nil})
	}
	for _, do := range []func(product, *testing.T, fixture.Set){product.define, product.make} {
		for _, p := range others {
			do(p, t, set())
			do(p, t, member.set())
		}
	}
	with, without := newKubectl(t, env.Cluster, env.Cluster.Config()), newKubectl(t, member.Cluster, member.Config())
	asked := sets.New[string]()
	for _, p := range others {
		asked.Insert(p.names()...)
	}
	everything := strings.Join(sets.List(asked), ",")
	got, want := with.run(t, "get", everything, "-o", "name"), without.run(t, "get", everything, "-o", "name")
	if got != want {
		t.Errorf("with KubeVision, kubectl get %s shows\n%s\nwithout it\n%s", everything, got, want)
	}
	for _, line := range []string{
		"cluster.cluster.x-k8s.io/cluster\n", "user.management.cattle.io/user\n", "kubevirt.kubevirt.io/kubevirt\n",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("kubectl get %s shows\n%s\nwithout %s", everything, got, line)
		}
	}
	for _, args := range [][]string{
		{"auth", "can-i", "impersonate", "users"},
		{"auth", "can-i", "create", "clusters"},
		{"auth", "can-i", "get", "sessions"},
	} {
		args = append(args, "--as=somebody", "--as-group=system:authenticated")
		if got, want := with.run(t, args...), without.run(t, args...); got != want || !strings.Contains(got, "no") {
			t.Errorf("with KubeVision, kubectl %v shows %q, without it %q", args, got, want)
		}
	}
	ours := with.run(t, "get", "kvu,kvc,kvrb,kvsession,kvlt", "-o", "name")
	for line := range strings.Lines(ours) {
		if !strings.Contains(line, ".kubevision.io/") {
			t.Errorf("KubeVision's own short names show\n%s", ours)
		}
	}
}

// segments returns the first segment of each path of KubeVision's API, for example "clusters".
func segments(t *testing.T) []string {
	t.Helper()
	c, err := wire.ForConfig(env.Cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]json.RawMessage `json:"paths"`
	}
	fixture.Eventually(t, "read the OpenAPI document", func(ctx context.Context) error {
		response, err := c.Do(ctx, wire.Request{Path: "/openapi/v3" + wire.GroupPath})
		if err != nil {
			return err
		}
		return json.Unmarshal(response.Body, &document)
	})
	out := sets.New[string]()
	for path := range document.Paths {
		if segment, _, _ := strings.Cut(strings.Trim(strings.TrimPrefix(path, wire.GroupPath), "/"),
			"/"); segment != "" {
			out.Insert(segment)
		}
	}
	if !out.HasAll("clusters", "users", "sessions", "search") {
		t.Fatalf("the paths begin with %v", out)
	}
	return sets.List(out)
}
