// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"sigs.k8s.io/yaml"

	"github.com/kubevision-io/kubevision/hack/release/manifests"
)

const (
	root       = "../../.."
	chartPath  = root + "/charts/kubevision"
	configPath = root + "/config"
)

type values = map[string]any

// whole returns Helm values with which the chart renders the same objects as config/. With these values, the chart
// creates the namespace and omits the annotation helm.sh/resource-policy.
func whole() values {
	return values{"namespace": values{"create": true}, "crds": values{"keep": false}, "image": values{"tag": "v0.1.0"}}
}

func with(more values) values {
	all := whole()
	maps.Copy(all, more)
	return all
}

func render(t *testing.T, v values) map[string]manifests.Object {
	t.Helper()
	c, err := Load(chartPath)
	if err != nil {
		t.Fatal(err)
	}
	out, err := Render(t.Context(), c, Namespace, v)
	if err != nil {
		t.Fatal(err)
	}
	return byKey(t, out)
}

func byKey(t *testing.T, file []byte) map[string]manifests.Object {
	t.Helper()
	all, err := manifests.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]manifests.Object{}
	for _, o := range all {
		if _, twice := out[o.Key()]; twice {
			t.Errorf("%s is there twice", o.Key())
		}
		out[o.Key()] = o
	}
	return out
}

func config(t *testing.T, folders ...string) map[string]manifests.Object {
	t.Helper()
	out := map[string]manifests.Object{}
	for _, f := range folders {
		file, err := manifests.Render(filepath.Join(configPath, f))
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(out, byKey(t, file))
	}
	return out
}

// TestTheChartIsTheConfiguration verifies that the chart and the kustomizations render the same objects.
func TestTheChartIsTheConfiguration(t *testing.T) {
	for name, test := range map[string]struct {
		folders []string
		values  values
	}{
		"default":        {[]string{"default"}, nil},
		"dashboard":      {[]string{"dashboard"}, values{"dashboard": values{"enabled": true}}},
		"network policy": {[]string{"default", "network-policy"}, values{"networkPolicy": values{"enabled": true}}},
		"monitor":        {[]string{"default", "service-monitor"}, values{"serviceMonitor": values{"enabled": true}}},
		"ingress": {[]string{"ingress"}, values{
			"ingress": values{"enabled": true}, "apiserver": values{"trustedProxies": []any{"10.0.0.0/8"}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			want, got := config(t, test.folders...), render(t, with(test.values))
			if len(want) < 40 {
				t.Errorf("only %d objects were compared", len(want))
			}
			for _, key := range slices.Sorted(maps.Keys(want)) {
				if !reflect.DeepEqual(want[key], got[key]) {
					t.Errorf("%s differs; run \"make generate\" if only config/ was changed\nconfig: %s\nchart: %s",
						key, encode(t, want[key]), encode(t, got[key]))
				}
			}
			for key := range got {
				if want[key] == nil {
					t.Errorf("only the chart has %s", key)
				}
			}
		})
	}
}

func encode(t *testing.T, o manifests.Object) string {
	t.Helper()
	out, err := yaml.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

const (
	apiserver         = "apps/v1 Deployment kubevision-system/kubevision-apiserver"
	controllerManager = "apps/v1 Deployment kubevision-system/kubevision-controller-manager"
)

func recordings(v values) values { return values{"apiserver": values{"recordings": v}} }

func TestValues(t *testing.T) {
	const digest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for name, test := range map[string]struct {
		values    values
		key, want string
	}{
		"repository": {values{"image": values{"repository": "r.example/k"}}, apiserver, "image: r.example/k:v0.1.0\n"},
		"tag":        {values{"image": values{"tag": "v9"}}, controllerManager, "image: kubevision:v9\n"},
		"digest":     {values{"image": values{"digest": digest}}, apiserver, "image: kubevision@" + digest + "\n"},
		"pull policy": {
			values{"image": values{"pullPolicy": "Always"}}, controllerManager, "imagePullPolicy: Always\n",
		},
		"pull secrets": {
			values{"imagePullSecrets": []any{values{"name": "pull"}}}, controllerManager,
			"imagePullSecrets:\n      - name: pull\n",
		},
		"replicas":    {values{"apiserver": values{"replicas": 5}}, apiserver, "replicas: 5\n"},
		"no replicas": {values{"controllerManager": values{"replicas": 0}}, controllerManager, "replicas: 0\n"},
		"arguments":   {values{"apiserver": values{"extraArgs": []any{"--v=4"}}}, apiserver, "- --v=4\n"},
		"arguments of the controllers": {
			values{"controllerManager": values{"extraArgs": []any{"--v=4"}}}, controllerManager, "- --v=4\n",
		},
		"proxies": {
			values{"apiserver": values{"trustedProxies": []any{"10.1.0.0/16", "fd00::/8"}}}, apiserver,
			"- --trusted-proxies=10.1.0.0/16,fd00::/8\n",
		},
		"certificate": {
			values{"apiserver": values{"publicCertificateSecret": "public"}}, apiserver, "secretName: public\n",
		},
		"recordings": {
			recordings(values{"bucket": "s3://b/p", "endpoint": "https://s3.example"}), apiserver,
			"- --record-terminals=s3://b/p\n        - --record-terminals-s3-endpoint=https://s3.example\n",
		},
		"credentials of recordings": {
			recordings(values{"bucket": "s3://b", "endpoint": "https://s", "credentialsSecret": "s3"}), apiserver,
			"- name: recordings-credentials\n        secret:\n          secretName: s3\n",
		},
		"keys of recordings": {
			recordings(values{"claim": "shared", "keysSecret": "keys"}), apiserver,
			"- --record-terminals-key-file=/var/run/kubevision/recordings-keys/keys\n",
		},
		"volume of recordings": {
			recordings(values{"claim": "shared"}), apiserver, "persistentVolumeClaim:\n          claimName: shared\n",
		},
		"resources": {
			values{"apiserver": values{"resources": values{"limits": values{"memory": "2Gi"}}}}, apiserver,
			"memory: 2Gi\n",
		},
		"soft limit": {values{"apiserver": values{"goMemLimit": "1600MiB"}}, apiserver, "value: 1600MiB\n"},
		"annotations": {
			values{"apiserver": values{"podAnnotations": values{"a": "b"}}}, apiserver, "annotations:\n        a: b\n",
		},
		"labels": {
			values{"apiserver": values{"podLabels": values{"a": "b"}}}, apiserver, "labels:\n        a: b\n",
		},
		"nodes": {
			values{"apiserver": values{"nodeSelector": values{"a": "b"}}}, apiserver, "nodeSelector:\n        a: b\n",
		},
		"tolerations": {
			values{"controllerManager": values{"tolerations": []any{values{"key": "infra"}}}}, controllerManager,
			"- key: infra\n",
		},
		"affinity": {
			values{"apiserver": values{"affinity": values{"nodeAffinity": values{}}}}, apiserver, "nodeAffinity: {}\n",
		},
		"spread": {
			values{"apiserver": values{"topologySpreadConstraints": []any{values{
				"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
			}}}}, apiserver, "topologyKey: zone\n",
		},
		"priority class": {
			values{"priorityClass": values{"create": false, "name": "other"}}, apiserver, "priorityClassName: other\n",
		},
		"disruptions": {
			values{"apiserver": values{"podDisruptionBudget": values{"spec": values{"minAvailable": 2}}}},
			"policy/v1 PodDisruptionBudget kubevision-system/kubevision-apiserver", "minAvailable: 2\n",
		},
		"dashboard": {
			values{"dashboard": values{"enabled": true, "image": values{"repository": "r.example/d", "tag": "v2"}}},
			apiserver, "image: r.example/d:v2\n",
		},
		"host": {
			values{"ingress": values{
				"enabled": true, "host": "k.example", "className": "other", "tlsSecret": "public",
			}},
			"networking.k8s.io/v1 Ingress kubevision-system/kubevision", "host: k.example\n",
		},
		"labels of monitors": {
			values{"serviceMonitor": values{"enabled": true, "labels": values{"release": "prometheus"}}},
			"monitoring.coreos.com/v1 ServiceMonitor kubevision-system/kubevision-apiserver", "release: prometheus\n",
		},
		"account of Prometheus": {
			values{"serviceMonitor": values{
				"enabled": true, "prometheus": values{"serviceAccount": "p", "namespace": "m"},
			}},
			"rbac.authorization.k8s.io/v1 ClusterRoleBinding /kubevision:metrics-reader", "name: p\n  namespace: m\n",
		},
		"definitions stay": {
			values{"crds": values{"keep": true}},
			"apiextensions.k8s.io/v1 CustomResourceDefinition /kubevisionusers.kubevision.io",
			"helm.sh/resource-policy: keep\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := render(t, with(test.values))
			if got[test.key] == nil {
				t.Fatalf("there is no %s", test.key)
			}
			if text := encode(t, got[test.key]); !strings.Contains(text, test.want) {
				t.Errorf("%q is not in\n%s", test.want, text)
			}
		})
	}
}

func TestValuesThatLeaveOut(t *testing.T) {
	off := values{"podDisruptionBudget": values{"enabled": false}, "autoscaled": true}
	got := render(t, values{
		"crds": values{"install": false}, "priorityClass": values{"name": ""},
		"controllerManager": off, "apiserver": off,
	})
	for key, o := range got {
		switch o.Kind() {
		case "CustomResourceDefinition", "PriorityClass", "PodDisruptionBudget", "Namespace", "Ingress",
			"NetworkPolicy":
			t.Errorf("%s is there", key)
		}
	}
	if strings.Contains(encode(t, got[apiserver]), "priorityClassName") {
		t.Error("the Pods have a priority class")
	}
	for _, key := range []string{apiserver, controllerManager} {
		if strings.Contains(encode(t, got[key]), "replicas") {
			t.Errorf("the Deployment %s has a number of replicas", key)
		}
	}
}

func TestValuesAreRefused(t *testing.T) {
	c, err := Load(chartPath)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]values{
		"a misspelled value":           {"replicaCount": 3},
		"a misspelled value of a part": {"apiserver": values{"replica": 3}},
		"the tag latest":               {"image": values{"tag": "latest"}},
		"a digest that is none":        {"image": values{"digest": "abc"}},
		"a policy that is none":        {"image": values{"pullPolicy": "Sometimes"}},
		"an argument without dashes":   {"apiserver": values{"extraArgs": []any{"v=4"}}},
		"a proxy of the controllers":   {"controllerManager": values{"trustedProxies": []any{"10.0.0.0/8"}}},
		"a number as text":             {"apiserver": values{"replicas": "2"}},
		"no number":                    {"apiserver": values{"replicas": nil}},
		"a limit without a unit":       {"apiserver": values{"goMemLimit": "800"}},
		"recordings in two places":     recordings(values{"bucket": "s3://b", "endpoint": "https://s", "claim": "c"}),
		"a bucket of no service":       recordings(values{"bucket": "s3://b"}),
		"a bucket that is none":        recordings(values{"bucket": "b", "endpoint": "https://s"}),
		"recordings of controllers":    {"controllerManager": values{"recordings": values{"claim": "c"}}},
	} {
		if _, err := Render(t.Context(), c, Namespace, v); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	if _, err := Render(t.Context(), c, "default", nil); err == nil ||
		!strings.Contains(err.Error(), Namespace) {
		t.Errorf("another namespace: %v", err)
	}
}

func TestLint(t *testing.T) {
	for _, m := range lint.RunAll(chartPath, nil, Namespace).Messages {
		if m.Severity > support.InfoSev {
			t.Errorf("%s: %v", m.Path, m.Err)
		}
	}
}

// TestPackage verifies that a packaged chart refers to the container image of the packaged version. Two archives of the
// same version must be identical.
func TestPackage(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	var sums []string
	for range 2 {
		c, err := Load(chartPath)
		if err != nil {
			t.Fatal(err)
		}
		if err := SetImage(c, "registry.example.com/kubevision"); err != nil {
			t.Fatal(err)
		}
		path, err := Package(c, t.TempDir(), "v1.2.3", at)
		if err != nil {
			t.Fatal(err)
		}
		packaged, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		out, err := Render(t.Context(), packaged, Namespace, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := encode(t, byKey(t, out)[apiserver])
		if !strings.Contains(got, "registry.example.com/kubevision:v1.2.3\n") {
			t.Errorf("the image is not that of the release:\n%s", got)
		}
		sums = append(sums, sum(t, path))
	}
	if sums[0] != sums[1] {
		t.Error("the archives differ")
	}
}
