// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package quota serves a summary of the ResourceQuotas in the namespaces of a cluster.
package quota

import (
	"cmp"
	"net/http"
	"slices"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// Provider provides the endpoints of this package.
type Provider struct {
	// Access connects callers to clusters, and restricts lists to the namespaces that the caller may read.
	Access *scopedlist.Access
}

// Routes implements routes.Provider.
func (p *Provider) Routes() []routes.Route {
	return []routes.Route{{
		Method: http.MethodGet, Path: "/clusters/{cluster}/quota-summary", Operation: "getQuotaSummary",
		Doc:     "show the ResourceQuotas that the caller may list",
		Returns: dashboardv1alpha1.QuotaSummaryEnvelope{},
		Parameters: map[string]string{
			objectref.Namespace: "only quotas in this namespace",
		},
		Endpoint: routes.Reviewed(p.Access.Cluster, get),
	}}
}

type resourceQuota struct {
	Metadata struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Hard map[string]string `json:"hard"`
	} `json:"spec"`
	Status struct {
		Hard map[string]string `json:"hard"`
		Used map[string]string `json:"used"`
	} `json:"status"`
}

func get(r *routes.Request, caller *scopedlist.Client) (routes.Result, error) {
	t, err := objectref.Find(r.Context(), caller.Client, "list", "resourcequotas", r.Query(objectref.Namespace), "")
	if err != nil {
		return routes.Result{}, err
	}
	answer, err := caller.ListCached(r.Context(), t)
	if err != nil {
		return routes.Result{}, err
	}
	items, err := scopedlist.Items[resourceQuota](r.Context(), answer)
	if err != nil {
		return routes.Result{}, err
	}
	data, meta := summary(items), answer.Meta()
	meta.Total = new(int64(len(items)))
	return routes.Result{Data: data, Meta: meta}, nil
}

func summary(items []resourceQuota) dashboardv1alpha1.QuotaSummary {
	slices.SortFunc(items, func(a, b resourceQuota) int {
		return cmp.Or(cmp.Compare(a.Metadata.Namespace, b.Metadata.Namespace),
			cmp.Compare(a.Metadata.Name, b.Metadata.Name))
	})
	out := dashboardv1alpha1.QuotaSummary{Namespaces: []dashboardv1alpha1.NamespaceQuotas{}}
	for i := range items {
		q := &items[i]
		last := len(out.Namespaces) - 1
		if last < 0 || out.Namespaces[last].Namespace != q.Metadata.Namespace {
			out.Namespaces = append(out.Namespaces, dashboardv1alpha1.NamespaceQuotas{Namespace: q.Metadata.Namespace})
			last++
		}
		out.Namespaces[last].Quotas = append(out.Namespaces[last].Quotas, describe(q))
	}
	return out
}

// describe converts a ResourceQuota. If status.hard is missing, it uses spec.hard.
func describe(q *resourceQuota) dashboardv1alpha1.Quota {
	out := dashboardv1alpha1.Quota{Name: q.Metadata.Name, Hard: q.Status.Hard, Used: q.Status.Used}
	if out.Hard == nil {
		out.Hard = q.Spec.Hard
	}
	if out.Hard == nil {
		out.Hard = map[string]string{}
	}
	if out.Used == nil {
		out.Used = map[string]string{}
	}
	return out
}
