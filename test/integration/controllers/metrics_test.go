// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

type metrics struct {
	client rest.Interface
}

func newMetrics(tb testing.TB) metrics {
	tb.Helper()
	account := &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: unique("metrics")},
	}
	create(tb, account)
	create(tb, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: account.Name},
		Rules:      []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
	})
	create(tb, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: account.Name},
		Subjects: []rbacv1.Subject{{
			Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name,
		}},
	})
	config, err := env.Cluster.ServiceAccountConfig(tb.Context(), account.Namespace, account.Name)
	if err != nil {
		tb.Fatal(err)
	}
	config.Host, config.TLSClientConfig = env.KubeVision.MetricsEndpoint(), rest.TLSClientConfig{Insecure: true}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	return metrics{client: client.Discovery().RESTClient()}
}

// read returns the value of a metric without labels.
func (m metrics) read(ctx context.Context, name string) (float64, error) {
	text, err := m.client.Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the metrics: %w", err)
	}
	scanner := bufio.NewScanner(bytes.NewReader(text))
	for scanner.Scan() {
		value, ok := strings.CutPrefix(scanner.Text(), name+" ")
		if !ok {
			continue
		}
		parsed, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("reading metric %s: %w", name, err)
		}
		return parsed, nil
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

func (m metrics) is(name string, want float64) func(context.Context) error {
	return func(ctx context.Context) error {
		got, err := m.read(ctx, name)
		if err == nil && got != want {
			return fmt.Errorf("%s is %g, want %g", name, got, want)
		}
		return err
	}
}

// TestMetricsOfClusters verifies that a cluster has metrics until its registration is deleted, and that all metrics of
// the program have a stability level and are documented.
func TestMetricsOfClusters(t *testing.T) {
	m := newMetrics(t)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: unique("no-kubeconfig")},
		StringData: map[string]string{"kubeconfig": "none"},
	}
	create(t, secret)
	c := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: unique("measured")},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: secret.Name},
		},
	}
	create(t, c)
	ready := `kubevision_cluster_condition{cluster="` + c.Name + `",condition="Ready"}`
	eventually(t, soon, "measure the cluster", m.is(ready, 0))
	ends, err := m.read(t.Context(), "kubevision_serving_certificate_expiration_timestamp_seconds")
	if err != nil || time.Unix(int64(ends), 0).Before(time.Now()) {
		t.Errorf("the certificate ends at %v (%v)", ends, err)
	}
	if err := env.Client.Delete(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	eventually(t, soon, "forget the cluster", func(ctx context.Context) error {
		if _, err := m.read(ctx, ready); err == nil {
			return errors.New("it still has metrics")
		}
		return nil
	})

	root, err := localcluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := m.client.Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^# HELP (kubevision_\S+) (\S+) `).FindAllStringSubmatch(string(text), -1)
	if len(found) < 5 {
		t.Errorf("only %d metrics were found", len(found))
	}
	for _, metric := range found {
		if !strings.Contains(string(page), "`"+metric[1]+"`") ||
			!regexp.MustCompile(`^\[(ALPHA|BETA|STABLE)\]$`).MatchString(metric[2]) {
			t.Errorf("docs/metrics.md lacks %s, or it has no stability level: %s", metric[1], metric[2])
		}
	}
	for _, library := range []string{"controller_runtime_reconcile_errors_total", "workqueue_depth", "go_goroutines"} {
		if !strings.Contains(string(text), "# HELP "+library+" ") {
			t.Errorf("the libraries have no metric %s", library)
		}
	}
}
