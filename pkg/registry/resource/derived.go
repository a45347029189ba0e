// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"math/big"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"

	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/podmetrics"
)

const (
	sortByRestarts = "restarts"
	sortByLastSeen = "lastSeen"
	sortByCPU      = "cpu"
	sortByMemory   = "memory"
)

// derivedValues returns functions that compute sort keys from several fields of an object. The keys of the map are the
// names of the computed values, for example "restarts" for the number of restarts of a Pod. Clients send such a name in
// the query parameter sortBy. derivedValues returns false if the resource has no such functions.
func derivedValues(r clusters.Resource) (map[string]func(item) sortKey, bool) {
	requested := func(name corev1.ResourceName) func(item) sortKey {
		return func(o item) sortKey { return requestedBy(o, name) }
	}
	used := func(name corev1.ResourceName) func(item) sortKey {
		return func(o item) sortKey { return usedBy(o, name) }
	}
	switch r.GroupResource() {
	case corev1.Resource("pods"):
		return map[string]func(item) sortKey{
			sortByRestarts: restartsOf, sortByCPU: requested(corev1.ResourceCPU),
			sortByMemory: requested(corev1.ResourceMemory),
		}, true
	case corev1.Resource("events"), eventsv1.Resource("events"):
		return map[string]func(item) sortKey{sortByLastSeen: lastSeen}, true
	case podmetrics.GroupResource("pods"), podmetrics.GroupResource("nodes"):
		return map[string]func(item) sortKey{
			sortByCPU: used(corev1.ResourceCPU), sortByMemory: used(corev1.ResourceMemory),
		}, true
	default:
		return nil, false
	}
}

// restartsOf returns a sort key with the number of restarts of a Pod, as kubectl counts them.
func restartsOf(o item) sortKey {
	status, initialized := o.Member("status"), false
	eachAt(status, func(condition []byte) {
		initialized = initialized || (textAt(condition, "type") == string(corev1.PodInitialized) &&
			textAt(condition, "status") == string(corev1.ConditionTrue))
	}, "conditions")
	runs := map[string]bool{}
	if initialized {
		eachAt(o.Member("spec"), func(container []byte) {
			if textAt(container, "restartPolicy") == string(corev1.ContainerRestartPolicyAlways) {
				runs[textAt(container, "name")] = true
			}
		}, "initContainers")
	}
	// Besides the containers, kubectl counts sidecars, which are init containers with the restartPolicy Always. Before
	// the Pod is initialized, kubectl counts all init containers.
	var sum int64
	eachAt(status, func(container []byte) {
		if !initialized || runs[textAt(container, "name")] {
			sum += integerAt(container, "restartCount")
		}
	}, "initContainerStatuses")
	eachAt(status, func(container []byte) { sum += integerAt(container, "restartCount") }, "containerStatuses")
	return number(new(big.Rat).SetInt64(sum))
}

// lastSeen returns a sort key with the time at which an Event last occurred. kubectl shows the same time. The API
// version of the Event may be v1 or events.k8s.io/v1.
func lastSeen(o item) sortKey {
	for _, path := range [][]string{
		{"series", "lastObservedTime"}, {"lastTimestamp"}, {"deprecatedLastTimestamp"}, {"eventTime"},
		{"metadata", "creationTimestamp"},
	} {
		if t := timeAt(o.Member(path[0]), path[1:]...); !t.IsZero() {
			return number(new(big.Rat).SetFrac64(t.UnixMicro(), time.Second.Microseconds()))
		}
	}
	return missing()
}

// requestedBy returns a sort key with the sum of the requests for a resource in all containers of a Pod.
func requestedBy(o item, name corev1.ResourceName) sortKey {
	total := new(big.Rat)
	eachAt(o.Member("spec"), func(container []byte) {
		addQuantity(total, container, "resources", "requests", string(name))
	}, "containers")
	return number(total)
}

// usedBy returns a sort key with the usage of a resource: the usage in a NodeMetrics, or the sum of the containers in a
// PodMetrics.
func usedBy(o item, name corev1.ResourceName) sortKey {
	total := new(big.Rat)
	addQuantity(total, o.Member("usage"), string(name))
	eachAt(o.Member("containers"), func(container []byte) { addQuantity(total, container, "usage", string(name)) })
	return number(total)
}

// addQuantity adds the quantity at the given path of a JSON value to the total. It adds nothing if there is no valid
// quantity.
func addQuantity(total *big.Rat, value []byte, path ...string) {
	if quantity := quantityAt(value, path...); quantity != nil {
		total.Add(total, quantity)
	}
}

// byUsage changes the sort key if the request sorts Pods by CPU or memory. The new sort key is the measured usage
// instead of the resource requests of the Pod. byUsage returns an error if metrics are not available.
func (o *order) byUsage(metrics *podmetrics.Metrics) error {
	if o.sortBy != sortByCPU && o.sortBy != sortByMemory {
		return nil
	}
	if !metrics.Available() {
		return envelope.Invalid(querySortBy,
			"there are no metrics of the Pods to sort by: without %s, they are sorted by their requests", queryMetrics)
	}
	o.derived = func(pod item) sortKey {
		metadata := pod.Member("metadata")
		used, ok := metrics.Usage(textAt(metadata, "namespace"), textAt(metadata, "name"))
		if !ok {
			return missing()
		}
		if o.sortBy == sortByCPU {
			return number(new(big.Rat).SetInt64(used.CPUMilli))
		}
		return number(new(big.Rat).SetInt64(used.MemoryBytes))
	}
	return nil
}
