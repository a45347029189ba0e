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

// object contains the fields of an object that are searched. Annotations are not searched, because kubectl stores whole
// Secrets in an annotation.
type object struct {
	Metadata struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	} `json:"metadata"`
}

// match is a matching object. A lower rank is a better match.
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

// rank returns how well the name or a label of o matches text, as one of the constants rankName to rankNone. text must
// be in lower case.
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

// group sorts the matches of one kind from the best to the worst, and returns at most limit of them. SearchGroup.Total
// is the number of all matches.
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
