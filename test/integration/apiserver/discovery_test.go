// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// TestKubernetesFormats verifies that kubevision-apiserver serves standard endpoints of Kubernetes, such as /openapi/v3
// and /healthz, in the same formats as kube-apiserver.
func TestKubernetesFormats(t *testing.T) {
	const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
	client := direct(t, admin())
	client.Call(t, wire.Request{Path: wire.DirectPath + me}) // creates a metric
	for path, tc := range map[string]struct {
		accept string
		want   string
	}{
		"/apis":                         {"application/json", `"kind":"APIGroupList"`},
		"/apis?again":                   {aggregated, `"kind":"APIGroupDiscoveryList"`},
		"/apis/dashboard.kubevision.io": {"application/json", `"kind":"APIGroup"`},
		wire.GroupPath:                  {"application/json", `"kind":"APIResourceList"`},
		"/openapi/v2":                   {"application/json", `"swagger":"2.0"`},
		"/openapi/v3":                   {"application/json", `"paths"`},
		"/openapi/v3" + wire.GroupPath:  {"application/json", `"openapi":"3.0.0"`},
		"/healthz":                      {"", "ok"},
		"/livez":                        {"", "ok"},
		"/readyz":                       {"", "ok"},
		"/readyz?verbose":               {"", "[+]kubevision-caches ok"},
		"/version":                      {"", `"gitVersion"`},
		"/metrics":                      {"", "kubevision_apiserver_requests_total{code="},
	} {
		t.Run(path, func(t *testing.T) {
			r := client.Send(t, wire.Request{Path: path, Header: http.Header{"Accept": {tc.accept}}})
			if text := strings.ReplaceAll(string(r.Body), `": "`, `":"`); r.Status != http.StatusOK ||
				!strings.Contains(text, tc.want) {
				t.Errorf("HTTP %d, without %s: %.300s", r.Status, tc.want, r.Body)
			}
			if strings.HasPrefix(string(r.Body), `{"code":`) {
				t.Errorf("an envelope: %.300s", r.Body)
			}
		})
	}
	if r := client.Send(t, wire.Request{Path: "/version"}); strings.Contains(string(r.Body), "$Format") {
		t.Errorf("the version is not that of KubeVision: %s", r.Body)
	}
	r := client.Send(t, wire.Request{Path: "/nothing"})
	if r.Status != http.StatusNotFound {
		t.Errorf("an unknown path: HTTP %d, want 404", r.Status)
	}
}

// TestKubernetesEndpointsRequireRights verifies that health endpoints, such as /readyz, are public. Other standard
// endpoints of Kubernetes, such as /metrics, reject anonymous clients and users of KubeVision.
func TestKubernetesEndpointsRequireRights(t *testing.T) {
	client := direct(t)
	for _, path := range []string{"/healthz", "/livez", "/readyz"} {
		if r := client.Send(t, wire.Request{Path: path}); r.Status != http.StatusOK || string(r.Body) != "ok" {
			t.Errorf("%s: HTTP %d %.100s", path, r.Status, r.Body)
		}
	}
	token := newActor(t, "admin").AccessToken
	// The rejected requests of one address are limited.
	addresses := map[string]string{
		"nobody": "127.0.0.11", "a forged front proxy": "127.0.0.12", "an administrator of KubeVision": "127.0.0.13",
		"their token in the header": "127.0.0.14",
	}
	for _, path := range []string{
		"/metrics", "/metrics/slis", "/apis", "/apis/dashboard.kubevision.io", wire.GroupPath, "/openapi/v2",
		"/openapi/v3", "/debug/pprof/",
		"/debug/pprof/heap", "/debug/flags/v", "/debug/api_priority_and_fairness/dump_priority_levels", "/logs",
		"/flagz", "/statusz", "/", "/configz",
	} {
		for name, r := range map[string]wire.Request{
			"nobody": {Path: path}, "a forged front proxy": {Path: path,
				Header: remote("kubernetes-admin", "system:masters")},
			"an administrator of KubeVision": {Path: path, Bearer: token},
			"their token in the header":      {Path: path, Token: token},
		} {
			if got := client.From(addresses[name]).Send(t, r); got.Status != http.StatusUnauthorized &&
				got.Status != http.StatusForbidden {
				t.Errorf("%s for %s: HTTP %d %.100s, want 401 or 403", path, name, got.Status, got.Body)
			}
		}
	}
}

// TestMetricsTellTheCode verifies that request metrics have a label with the KubeVision error code, for example 40100.
// Paths and methods that a client invents must not create new time series.
func TestMetricsTellTheCode(t *testing.T) {
	direct(t).Call(t, wire.Request{Path: wire.DirectPath + "/invented-path-of-a-stranger"}).Want(t,
		wire.Unauthenticated)
	direct(t).Call(t, wire.Request{Method: "INVENTED", Path: wire.DirectPath + me}).Want(t, wire.Unauthenticated)
	text := string(direct(t, admin()).Send(t, wire.Request{Path: "/metrics"}).Body)
	for _, want := range []string{
		`kubevision_apiserver_requests_total{code="40100",method="GET",route="none"}`,
		`kubevision_apiserver_requests_total{code="40100",method="other",route="none"}`,
		`kubevision_apiserver_request_duration_seconds_bucket`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	for _, invented := range []string{"invented-path-of-a-stranger", "INVENTED"} {
		if strings.Contains(text, invented) {
			t.Errorf("the metrics have a label with a client's invented value: %s", invented)
		}
	}
}

func TestAvailable(t *testing.T) {
	text, err := env.Cluster.Kubectl(t.Context(), "get", "apiservice", "v1alpha1.dashboard.kubevision.io", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var service struct {
		Spec   struct{ CABundle []byte }
		Status struct {
			Conditions []struct{ Type, Status string }
		}
	}
	if err := json.Unmarshal([]byte(text), &service); err != nil {
		t.Fatal(err)
	}
	if c := service.Status.Conditions; len(c) != 1 || c[0].Type != "Available" || c[0].Status != "True" ||
		len(service.Spec.CABundle) == 0 {
		t.Errorf("conditions %+v, a CA bundle of %d bytes", c, len(service.Spec.CABundle))
	}
}

// TestControllersOfTheClusterTakeTheGroup verifies that KubeVision's API group does not disturb Kubernetes controllers.
// The test covers garbage collection, quotas and the deletion of namespaces.
func TestControllersOfTheClusterTakeTheGroup(t *testing.T) {
	if !env.Cluster.HasControllerManager() {
		t.Skip("there is no kube-controller-manager")
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("controllers")}}
	set().Create(t, namespace)
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace.Name, Name: name} }
	quota := &corev1.ResourceQuota{ObjectMeta: named("quota"), Spec: corev1.ResourceQuotaSpec{
		Hard: corev1.ResourceList{"count/configmaps": resource.MustParse("10")},
	}}
	set().Create(t, quota)
	counted := func(least int64) {
		t.Helper()
		fixture.Eventually(t, "wait until the quota counts", func(ctx context.Context) error {
			if err := env.Client.Get(ctx, client.ObjectKeyFromObject(quota), quota); err != nil {
				return err
			}
			if used, ok := quota.Status.Used["count/configmaps"]; !ok || used.Value() < least {
				return fmt.Errorf("it has counted %s", used.String())
			}
			return nil
		})
	}
	counted(0)
	owner := &corev1.ConfigMap{ObjectMeta: named("owner")}
	set().Create(t, owner)
	owned := &corev1.ConfigMap{ObjectMeta: named("owned")}
	owned.OwnerReferences = []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
	}
	set().Create(t, owned)
	counted(2)
	set().Delete(t, owner)
	set().Gone(t, owned)
	set().Delete(t, namespace)
	fixture.Eventually(t, "wait for the end of the namespace", func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(namespace), namespace); err != nil {
			return client.IgnoreNotFound(err)
		}
		for _, c := range namespace.Status.Conditions {
			if c.Type == corev1.NamespaceDeletionDiscoveryFailure && c.Status == corev1.ConditionTrue {
				t.Errorf("namespace deletion: %s", c.Message)
			}
		}
		return errors.New("it still exists")
	})
}
