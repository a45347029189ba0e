// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

const (
	// maxEdges bounds the number of edges of a topology.
	maxEdges = 20_000
	// maxPairs bounds the number of comparisons between a Service and a Pod.
	maxPairs = 10_000_000
	// edgeBytes is the memory of a TopologyEdge in bytes, without its strings.
	edgeBytes = 256
	// nodeBytes is the memory of a TopologyNode in bytes, without its strings.
	nodeBytes = 256
	// pairsPerCheck is the number of comparisons between a Service and a Pod after which the computation checks whether
	// the request has ended.
	pairsPerCheck = 1 << 14
)

// drawing is a topology that is being computed.
type drawing struct {
	// requestErr returns nil before the end of the request, and an error after it.
	requestErr func() error
	account    *budget.Account
	objects    []object
	// ids contains the id of each element of objects.
	ids   []string
	edges map[relation]struct{}
	pairs int
	// full is true if edges were omitted because of a limit.
	full bool
	err  error
}

// relation is an edge. from and to are indexes in drawing.objects.
type relation struct {
	from, to int
	name     string
}

// draw returns the topology of the given objects. It ignores references to other objects. It returns false if edges
// were omitted because of maxEdges or maxPairs.
func draw(ctx context.Context, all []object) (out dashboardv1alpha1.Topology, complete bool, err error) {
	d := &drawing{
		requestErr: ctx.Err, account: budget.AccountFrom(ctx), objects: all, ids: make([]string, len(all)),
		edges: map[relation]struct{}{},
	}
	if out.Nodes, err = d.nodes(); err != nil {
		return out, false, err
	}
	d.owners()
	d.selectedPods()
	d.backends()
	if d.err != nil {
		return out, false, d.err
	}
	out.Edges = make([]dashboardv1alpha1.TopologyEdge, 0, len(d.edges))
	for e := range d.edges {
		out.Edges = append(out.Edges, dashboardv1alpha1.TopologyEdge{
			Source: d.ids[e.from], Target: d.ids[e.to], Relation: e.name,
		})
	}
	slices.SortFunc(out.Edges, func(a, b dashboardv1alpha1.TopologyEdge) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Target, b.Target),
			cmp.Compare(a.Relation, b.Relation))
	})
	out.Edges = slices.Compact(out.Edges)
	return out, !d.full, nil
}

func (d *drawing) nodes() ([]dashboardv1alpha1.TopologyNode, error) {
	out := make([]dashboardv1alpha1.TopologyNode, 0, len(d.objects))
	for i := range d.objects {
		o := &d.objects[i]
		if err := d.account.Take(nodeBytes + 2*int64(len(o.Metadata.Name))); err != nil {
			return nil, fmt.Errorf("drawing a topology: %w", err)
		}
		d.ids[i] = o.id()
		out = append(out, dashboardv1alpha1.TopologyNode{
			ID: d.ids[i], Kind: o.plural, Name: o.Metadata.Name, Namespace: o.Metadata.Namespace, Status: o.status(),
			Labels: o.Metadata.Labels,
		})
	}
	return out, nil
}

// connect adds an edge. It returns false if no more edges can be added, because of maxEdges or the memory budget.
func (d *drawing) connect(from, to int, name string) bool {
	e := relation{from: from, to: to, name: name}
	if _, ok := d.edges[e]; ok {
		return true
	}
	if len(d.edges) == maxEdges {
		d.full = true
		return false
	}
	if err := d.account.Take(edgeBytes + 2*int64(len(d.ids[from])+len(d.ids[to]))); err != nil {
		d.err = fmt.Errorf("drawing a topology: %w", err)
		return false
	}
	d.edges[e] = struct{}{}
	return true
}

// allowComparison returns true if the caller may compare one more pair of a Service and a Pod, and counts the pair. It
// returns false after maxPairs pairs, or after the end of the request.
func (d *drawing) allowComparison() bool {
	if d.pairs == maxPairs {
		d.full = true
		return false
	}
	d.pairs++
	if d.pairs%pairsPerCheck != 0 {
		return true
	}
	if err := d.requestErr(); err != nil {
		d.err = envelope.Late(err)
		return false
	}
	return true
}

// indexesOf returns the indexes of all elements of d.objects that belong to one resource, for example pods.
func (d *drawing) indexesOf(plural string) []int {
	var out []int
	for i := range d.objects {
		if d.objects[i].plural == plural {
			out = append(out, i)
		}
	}
	return out
}

// owners adds an edge from each owner to each object that has an owner reference to the owner.
func (d *drawing) owners() {
	byUID := make(map[string]int, len(d.objects))
	for i := range d.objects {
		byUID[d.objects[i].Metadata.UID] = i
	}
	for i := range d.objects {
		for _, ref := range d.objects[i].Metadata.OwnerReferences {
			owner, ok := byUID[ref.UID]
			if ok && !d.connect(owner, i, dashboardv1alpha1.RelationOwns) {
				return
			}
		}
	}
}

// selectedPods adds an edge from each Service to each Pod that it selects.
func (d *drawing) selectedPods() {
	all := d.indexesOf(pods)
	for _, service := range d.indexesOf(services) {
		for _, pod := range all {
			if !d.allowComparison() {
				return
			}
			if d.objects[service].Spec.Selector.matches(d.objects[pod].Metadata.Labels) &&
				!d.connect(service, pod, dashboardv1alpha1.RelationSelects) {
				return
			}
		}
	}
}

// backends adds an edge from each Ingress to each Service to which it sends requests.
func (d *drawing) backends() {
	byName := map[string]int{}
	for _, service := range d.indexesOf(services) {
		byName[d.objects[service].Metadata.Name] = service
	}
	for _, ingress := range d.indexesOf(ingresses) {
		d.objects[ingress].eachBackend(func(name string) bool {
			service, ok := byName[name]
			return !ok || d.connect(ingress, service, dashboardv1alpha1.RelationSelects)
		})
	}
}
