// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package stepup

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	apiRegistrationGroup = "apiregistration.k8s.io"
	apiExtensionsGroup   = "apiextensions.k8s.io"
	// dashboardGroup is the API that this program serves itself. Through kube-apiserver the caller would come back without
	// a second factor.
	dashboardGroup = "dashboard.kubevision.io"

	all = "*"
)

// Rule names requests that take a fresh code. Each field that is not empty must match; "*" matches every group.
type Rule struct {
	Group, Resource, Subresource, Namespace string
	// Reads is true if the rule is about every method, because a GET is as good as a write.
	Reads bool
	// DryRuns is true if a dry run takes a code, too, because it has an effect.
	DryRuns bool
}

// Rules returns all rules but the one about the content of Secrets, see namesServiceAccount.
func Rules() []Rule {
	rules := append(make([]Rule, 0, 20), []Rule{
		// Users, clusters, bindings, sessions: they say who may do what.
		{Group: kubevisionv1alpha1.GroupName},
		{Group: dashboardGroup, DryRuns: true},
		// What gives rights, and what decides on every other request.
		{Group: rbacv1.GroupName},
		{Group: admissionregistrationv1.GroupName},
		{Group: apiRegistrationGroup},
		{Group: apiExtensionsGroup},
		{Group: certificatesv1.GroupName},
		{Resource: "serviceaccounts", Subresource: "token", DryRuns: true},
		// Labels of namespaces select what bindings grant. Which labels a write changes cannot be told without the object.
		{Resource: "namespaces"},
		// A way into every Pod of the node, those of the system included.
		{Resource: "nodes", Subresource: "proxy", Reads: true, DryRuns: true},
	}...)
	for _, namespace := range []string{names.Namespace, metav1.NamespaceSystem} {
		rules = append(rules, Rule{Group: all, Namespace: namespace})
		for _, way := range []string{"exec", "attach", "portforward", "proxy"} {
			rules = append(rules, Rule{Namespace: namespace, Subresource: way, Reads: true, DryRuns: true})
		}
	}
	return rules
}

// Sensitive returns whether the request takes a fresh code.
func (r Request) Sensitive() bool {
	if r.exempt() {
		return false
	}
	if slices.ContainsFunc(Rules(), func(rule Rule) bool { return rule.matches(r) }) {
		return true
	}
	return r.isSecret() && !r.reads() && !r.DryRun && namesServiceAccount(r.Body)
}

// exempt is true for evictions, so that a node can be drained, and for access reviews, which store nothing.
func (r Request) exempt() bool {
	return (r.Group == "" && r.Resource == "pods" && r.Subresource == "eviction") || r.Group == authorizationv1.GroupName
}

func (r Request) isSecret() bool { return r.Group == "" && r.Resource == "secrets" }

func (rule Rule) matches(r Request) bool {
	return (rule.Reads || !r.reads()) && (rule.DryRuns || !r.DryRun) &&
		(rule.Group == all || rule.Group == r.Group) &&
		(rule.Resource == "" || rule.Resource == r.Resource) &&
		(rule.Subresource == "" || rule.Subresource == r.Subresource) &&
		(rule.Namespace == "" || rule.Namespace == r.Namespace)
}

// namesServiceAccount returns whether a Secret or a patch of one mentions what makes Kubernetes put a token of a
// ServiceAccount into it: the type kubernetes.io/service-account-token, or the annotations that name the account. What
// is not JSON is taken for that.
func namesServiceAccount(body []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return false
		}
		if err != nil {
			return true
		}
		text, _ := token.(string)
		text = strings.ReplaceAll(text, "~1", "/") // as in the paths of a JSON patch
		if strings.Contains(text, "kubernetes.io/service-account") {
			return true
		}
	}
}
