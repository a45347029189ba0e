// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/grants"
)

var (
	requestTotal = regexp.MustCompile(`^apiserver_request_total\{(.*)\} (\S+)$`)
	label        = regexp.MustCompile(`(\w+)="([^"]*)"`)
)

// writes returns the number of writes of KubeVision's controllers for each verb and resource. The numbers are correct
// only on a cluster without other activity.
func writes(tb testing.TB) map[string]float64 {
	tb.Helper()
	out := map[string]float64{}
	scanner := bufio.NewScanner(strings.NewReader(kubectl(tb, "get", "--raw", "/metrics")))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		found := requestTotal.FindStringSubmatch(scanner.Text())
		if found == nil {
			continue
		}
		labels := map[string]string{}
		for _, pair := range label.FindAllStringSubmatch(found[1], -1) {
			labels[pair[1]] = pair[2]
		}
		if !slices.Contains([]string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}, labels["verb"]) {
			continue
		}
		ours := slices.Contains([]string{"kubevision.io", "rbac.authorization.k8s.io", "apiregistration.k8s.io",
			"events.k8s.io"}, labels["group"]) ||
			slices.Contains([]string{"secrets", "configmaps", "serviceaccounts"}, labels["resource"])
		if ours {
			count, err := strconv.ParseFloat(found[2], 64)
			if err != nil {
				tb.Fatal(err)
			}
			out[labels["verb"]+" "+labels["group"]+"/"+labels["resource"]+"/"+labels["subresource"]] += count
		}
	}
	if len(out) == 0 {
		tb.Fatal("kube-apiserver counts no writes at all")
	}
	return out
}

// TestNothingIsWrittenWhenAllIsWell verifies that the controllers write almost nothing if no object changes. They write
// only the time of the last probe of a cluster, and the time of the last count of objects.
func TestNothingIsWrittenWhenAllIsWell(t *testing.T) {
	guard(t)
	host(t)
	n := newNamespace(t, nil)
	u := newUser(t, newSource(t, newPassword()).Name)
	disabled := userObject("")
	disabled.Spec.Disabled = true
	create(t, disabled)
	broken := newUser(t, "no-such-secret")
	member := unreachableCluster(t)
	create(t, member)
	account := kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectServiceAccount, Namespace: n, Name: "robot"}
	awaitReady(t, newBinding(t, kubevisionv1alpha1.RoleReadonly, nil, grants.ToUser(u.Name), grants.ToGroup("x"),
		account))
	awaitReady(t, newBinding(t, kubevisionv1alpha1.RoleOps, grants.Named(n), grants.ToUser(u.Name), account))
	longNames := make([]kubevisionv1alpha1.Subject, 0, 3)
	for range 3 {
		longNames = append(longNames, kubevisionv1alpha1.Subject{Kind: kubevisionv1alpha1.SubjectUser,
			Name: strings.Repeat("日本", 20) + unique("x")})
	}
	awaitReady(t, newBinding(t, kubevisionv1alpha1.RoleOps, grants.Named(n), longNames...))
	awaitNotReady(t, newBinding(t, "no-such-role", nil, grants.ToUser(u.Name)), kubevisionv1alpha1.ReasonRoleNotFound)
	awaitNotReady(t, newBinding(t, kubevisionv1alpha1.RoleDev, grants.Named("no-such-namespace"),
		grants.ToUser("nobody")), kubevisionv1alpha1.ReasonNamespaceNotFound)
	awaitNotReady(t, broken, kubevisionv1alpha1.ReasonSecretNotFound)
	awaitReady(t, u)
	awaitNotReady(t, member, kubevisionv1alpha1.ReasonProbeFailed)

	eventually(t, time.Minute, "wait for the end of the namespaces of other tests", noTerminatingNamespace)
	before := awaitQuiet(t)
	time.Sleep(10 * time.Second)
	const probe = "PATCH kubevision.io/kubevisionclusters/status"
	const count = "APPLY kubevision.io/kubevisionpolicyparameters/"
	after := writes(t)
	for what := range maps.Keys(after) {
		more, allowed := after[what]-before[what], 0.0
		switch what {
		case probe:
			allowed = 5 // the unreachable member is probed again after 5 s, and then after 10 s
		case count:
			allowed = 1 // once per minute
		}
		if more > allowed {
			t.Errorf("%v times in 10 s: %s", more, what)
		}
	}
}

func noTerminatingNamespace(ctx context.Context) error {
	var all corev1.NamespaceList
	if err := env.Client.List(ctx, &all); err != nil {
		return fmt.Errorf("listing namespaces: %w", err)
	}
	for i := range all.Items {
		if !all.Items[i].DeletionTimestamp.IsZero() {
			return fmt.Errorf("%s is ending", all.Items[i].Name)
		}
	}
	return nil
}
