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
	dashboardGroup       = "dashboard.kubevision.io"

	all = "*"
)

// Rule selects requests that require a fresh code of the second factor. A request matches if Group, Resource,
// Subresource and Namespace all match. A field matches if it equals the name in the request. The Group "*" matches
// every group, and an empty Group matches only the core group. An empty Resource, Subresource or Namespace matches
// every name.
type Rule struct {
	Group, Resource, Subresource, Namespace string
	// Reads is true if the rule matches reads (GET, HEAD and OPTIONS) as well as writes. A read can have an effect. For
	// example, exec with the method GET runs a command.
	Reads bool
	// DryRuns is true if the rule matches dry runs as well as other requests. A dry run can have an effect. For
	// example, exec runs the command.
	DryRuns bool
}

// Rules returns the rules for requests that require a fresh code of the second factor. A write of a ServiceAccount
// token to a Secret also requires a code. A Rule cannot select this write, because a Rule does not consider the body of
// a request. Therefore, Request.IsSensitive checks the body separately.
func Rules() []Rule {
	rules := append(make([]Rule, 0, 20), []Rule{
		// Users, clusters, bindings and sessions determine permissions.
		{Group: kubevisionv1alpha1.GroupName},
		// kube-apiserver forwards requests for this group to kubevision-apiserver, which accepts them without a code.
		// Therefore, the code is required before a request for this group is sent to kube-apiserver.
		{Group: dashboardGroup, DryRuns: true},
		// RBAC objects, certificates and tokens grant rights. The objects of the other groups can redirect, change or
		// reject the requests of all users.
		{Group: rbacv1.GroupName},
		{Group: admissionregistrationv1.GroupName},
		{Group: apiRegistrationGroup},
		{Group: apiExtensionsGroup},
		{Group: certificatesv1.GroupName},
		{Resource: "serviceaccounts", Subresource: "token", DryRuns: true},
		// KubeVisionRoleBindings may select namespaces by labels. A write to a Namespace may therefore grant rights,
		// and Request does not show whether labels change.
		{Resource: "namespaces"},
		// The node proxy gives access to every Pod of the node, system Pods included.
		{Resource: "nodes", Subresource: "proxy", Reads: true, DryRuns: true},
	}...)
	for _, namespace := range []string{names.Namespace, names.RemovalNamespace, metav1.NamespaceSystem} {
		rules = append(rules, Rule{Group: all, Namespace: namespace})
		for _, way := range []string{"exec", "attach", "portforward", "proxy"} {
			rules = append(rules, Rule{Namespace: namespace, Subresource: way, Reads: true, DryRuns: true})
		}
	}
	return rules
}

// IsSensitive returns true if the request requires a fresh code of the second factor.
func (r Request) IsSensitive() bool {
	if r.exempt() {
		return false
	}
	if slices.ContainsFunc(Rules(), func(rule Rule) bool { return rule.matches(r) }) {
		return true
	}
	return r.isSecret() && !r.reads() && !r.DryRun && namesServiceAccount(r.Body)
}

// exempt returns true for requests that never require a code: evictions, with which users drain a node, and access
// reviews, which store nothing.
func (r Request) exempt() bool {
	return (r.Group == "" && r.Resource == "pods" && r.Subresource == "eviction") ||
		r.Group == authorizationv1.GroupName
}

func (r Request) isSecret() bool { return r.Group == "" && r.Resource == "secrets" }

func (rule Rule) matches(r Request) bool {
	return (rule.Reads || !r.reads()) && (rule.DryRuns || !r.DryRun) &&
		(rule.Group == all || rule.Group == r.Group) &&
		(rule.Resource == "" || rule.Resource == r.Resource) &&
		(rule.Subresource == "" || rule.Subresource == r.Subresource) &&
		(rule.Namespace == "" || rule.Namespace == r.Namespace)
}

// namesServiceAccount returns true if a string in the body of a write to a Secret contains
// kubernetes.io/service-account. The Secret type and the annotations contain this text if Kubernetes stores a
// ServiceAccount token in the Secret. namesServiceAccount also returns true if the body is not JSON.
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
		text = strings.ReplaceAll(text, "~1", "/") // the escape of a slash in a JSON pointer
		if strings.Contains(text, "kubernetes.io/service-account") {
			return true
		}
	}
}
