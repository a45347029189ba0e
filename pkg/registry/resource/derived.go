// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bytes"
	"encoding/json"
	"math/big"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/podmetrics"
)

const (
	sortByRestarts = "restarts"
	sortByLastSeen = "lastSeen"
	sortByCPU      = "cpu"
	sortByMemory   = "memory"
)

// derivedValues returns functions for the values of a kind that are no single field, by the names that callers sort by.
func derivedValues(r clusters.Resource) (map[string]func(objects.Object) sortKey, bool) {
	requested := func(name corev1.ResourceName) func(objects.Object) sortKey {
		return func(o objects.Object) sortKey { return requestedBy(o, name) }
	}
	used := func(name corev1.ResourceName) func(objects.Object) sortKey {
		return func(o objects.Object) sortKey { return usedBy(o, name) }
	}
	switch r.GroupResource() {
	case corev1.Resource("pods"):
		return map[string]func(objects.Object) sortKey{
			sortByRestarts: restartsOf, sortByCPU: requested(corev1.ResourceCPU),
			sortByMemory: requested(corev1.ResourceMemory),
		}, true
	case corev1.Resource("events"), eventsv1.Resource("events"):
		return map[string]func(objects.Object) sortKey{sortByLastSeen: lastSeen}, true
	case podmetrics.GroupResource("pods"), podmetrics.GroupResource("nodes"):
		return map[string]func(objects.Object) sortKey{
			sortByCPU:    used(corev1.ResourceCPU),
			sortByMemory: used(corev1.ResourceMemory),
		}, true
	default:
		return nil, false
	}
}

// membersOfDerived returns the members of objects that derived values are computed from.
func membersOfDerived() []string {
	return []string{
		"metadata", "spec", "status", "series", "lastTimestamp", "deprecatedLastTimestamp", "eventTime", "usage",
		"containers",
	}
}

// maxElements bounds the elements of a part of an object that a value is computed from. A Pod of a hundred containers
// has some thousands.
const maxElements = 16_384

// decodeOrZero decodes a part of an object, or returns the zero value if that fails, or if the part has more elements
// than objects of Kubernetes have: each may take as much memory as the type.
func decodeOrZero[T any](raw json.RawMessage) T {
	var out T
	if bytes.Count(raw, []byte{'{'})+bytes.Count(raw, []byte{','}) > maxElements {
		return out
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return *new(T)
	}
	return out
}

type podCondition struct {
	Type   corev1.PodConditionType `json:"type"`
	Status corev1.ConditionStatus  `json:"status"`
}

type containerStatus struct {
	Name         string `json:"name"`
	RestartCount int64  `json:"restartCount"`
}

// restartsOf returns the number of restarts as kubectl counts them: the restarts of the containers and of those init
// containers that keep running, and before the Pod is initialized, those of all init containers.
func restartsOf(o objects.Object) sortKey {
	status := decodeOrZero[struct {
		Conditions            []podCondition    `json:"conditions"`
		InitContainerStatuses []containerStatus `json:"initContainerStatuses"`
		ContainerStatuses     []containerStatus `json:"containerStatuses"`
	}](o["status"])
	spec := decodeOrZero[struct {
		InitContainers []struct {
			Name          string `json:"name"`
			RestartPolicy string `json:"restartPolicy"`
		} `json:"initContainers"`
	}](o["spec"])
	runs := map[string]bool{}
	for _, c := range spec.InitContainers {
		runs[c.Name] = c.RestartPolicy == string(corev1.ContainerRestartPolicyAlways)
	}
	initialized := false
	for i := range status.Conditions {
		c := &status.Conditions[i]
		initialized = initialized || (c.Type == corev1.PodInitialized && c.Status == corev1.ConditionTrue)
	}
	var sum int64
	for _, c := range status.InitContainerStatuses {
		if !initialized || runs[c.Name] {
			sum += c.RestartCount
		}
	}
	for _, c := range status.ContainerStatuses {
		sum += c.RestartCount
	}
	return number(new(big.Rat).SetInt64(sum))
}

// lastSeen returns the time at which kubectl says that an event was seen last, whichever of the two APIs it is read by.
func lastSeen(o objects.Object) sortKey {
	series := decodeOrZero[struct {
		LastObservedTime metav1.MicroTime `json:"lastObservedTime"`
	}](o["series"])
	metadata := decodeOrZero[struct {
		CreationTimestamp metav1.Time `json:"creationTimestamp"`
	}](o["metadata"])
	for _, t := range []time.Time{
		series.LastObservedTime.Time,
		decodeOrZero[metav1.Time](o["lastTimestamp"]).Time,
		decodeOrZero[metav1.Time](o["deprecatedLastTimestamp"]).Time,
		decodeOrZero[metav1.MicroTime](o["eventTime"]).Time, metadata.CreationTimestamp.Time,
	} {
		if !t.IsZero() {
			return number(new(big.Rat).SetFrac64(t.UnixMicro(), time.Second.Microseconds()))
		}
	}
	return missing()
}

// quantities are those of a ResourceList, in JSON.
type quantities map[corev1.ResourceName]json.RawMessage

// requestedBy returns the sum of the requests of the containers of a Pod.
func requestedBy(o objects.Object, name corev1.ResourceName) sortKey {
	var lists []quantities //nolint:prealloc // few
	for _, c := range decodeOrZero[struct {
		Containers []struct {
			Resources struct {
				Requests quantities `json:"requests"`
			} `json:"resources"`
		} `json:"containers"`
	}](o["spec"]).Containers {
		lists = append(lists, c.Resources.Requests)
	}
	return sum(name, lists...)
}

// usedBy returns the usage of a node, or the sum of the usage of the containers of a Pod.
func usedBy(o objects.Object, name corev1.ResourceName) sortKey {
	lists := []quantities{decodeOrZero[quantities](o["usage"])} //nolint:prealloc // few
	for _, c := range decodeOrZero[[]struct {
		Usage quantities `json:"usage"`
	}](o["containers"]) {
		lists = append(lists, c.Usage)
	}
	return sum(name, lists...)
}

func sum(name corev1.ResourceName, lists ...quantities) sortKey {
	total := new(big.Rat)
	for _, l := range lists {
		if key, ok := keyOf(l[name]); ok && key.number != nil {
			total.Add(total, key.number)
		}
	}
	return number(total)
}

// byUsage makes an order of Pods by cpu or memory an order by their usage, which is shown with them.
func (o *order) byUsage(metrics *podmetrics.Metrics) error {
	if o.sortBy != sortByCPU && o.sortBy != sortByMemory {
		return nil
	}
	if !metrics.Available() {
		return envelope.Invalid(
			querySortBy,
			"there are no metrics of the Pods to sort by: without %s, they are sorted by what they ask for",
			queryMetrics,
		)
	}
	o.derived = func(item objects.Object) sortKey {
		metadata, err := item.Metadata()
		if err != nil {
			return missing()
		}
		used, ok := metrics.Usage(metadata.Namespace, metadata.Name)
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
