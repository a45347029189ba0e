// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package search

import (
	"cmp"
	"slices"
	"strings"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// object contains the searched fields. Annotations and other values are not searched: an annotation may contain the
// source of a Secret.
type object struct {
	Metadata struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
}

// match is a matching object. A lower rank is better.
type match struct {
	rank int
	dashboardv1alpha1.SearchItem
}

const (
	rankName = iota
	rankBeginning
	rankPart
	rankLabel
	rankNone
)

// rank returns the quality of the match between an object and a lower-case text.
func rank(o *object, text string) int {
	name := strings.ToLower(o.Metadata.Name)
	switch {
	case name == text:
		return rankName
	case strings.HasPrefix(name, text):
		return rankBeginning
	case strings.Contains(name, text):
		return rankPart
	}
	for key, value := range o.Metadata.Labels {
		if strings.Contains(strings.ToLower(key+"="+value), text) {
			return rankLabel
		}
	}
	return rankNone
}

func matching(all []object, r clusters.Resource, cluster, text string) []match {
	var out []match
	for i := range all {
		o := &all[i]
		if found := rank(o, text); found != rankNone {
			out = append(out, match{rank: found, SearchItem: dashboardv1alpha1.SearchItem{
				Name: o.Metadata.Name, Namespace: o.Metadata.Namespace, Labels: o.Metadata.Labels, Kind: r.Kind,
				ResourceType: r.GroupVersionResource.Resource, APIVersion: r.GroupVersion().String(), Cluster: cluster,
			}})
		}
	}
	return out
}

// group sorts the matches of one kind, the best first, and converts at most limit of them to the response.
func group(plural string, found []match, limit int) dashboardv1alpha1.SearchGroup {
	slices.SortFunc(found, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Cluster, b.Cluster))
	})
	out := dashboardv1alpha1.SearchGroup{ResourceType: plural, Total: int64(len(found))}
	for _, m := range found[:min(limit, len(found))] {
		out.Items = append(out.Items, m.SearchItem)
	}
	return out
}
