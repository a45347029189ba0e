// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// metrics reads the metrics of kubevision-controller-manager as an account that may read them.
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

// is returns a check that a metric without labels has a value.
func (m metrics) is(name string, want float64) func(context.Context) error {
	return func(ctx context.Context) error {
		got, err := m.read(ctx, name)
		if err == nil && got != want {
			return fmt.Errorf("%s is %g, want %g", name, got, want)
		}
		return err
	}
}
