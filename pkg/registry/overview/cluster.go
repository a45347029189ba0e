// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package overview

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/registry/scopedlist"
)

// recentEvents is the number of newest events that an overview contains.
const recentEvents = 10

// manyEvents is the maximum number of events in memory. When this number is reached, all events except the newest ones
// (see recentEvents) are dropped.
const manyEvents = 100 * recentEvents

func (t *tally) infrastructureKinds() []scopedlist.Kind {
	return []scopedlist.Kind{
		t.countedKind("services", func(out *dashboardv1alpha1.Overview, n int64) { out.Services = n }),
		t.countedKind("ingresses.networking.k8s.io", func(out *dashboardv1alpha1.Overview, n int64) {
			out.Ingresses = n
		}),
		typedKind(t, "namespaces", func(n *corev1.Namespace, out *dashboardv1alpha1.Overview) {
			out.Namespaces++
			addIf(&out.ActiveNamespaces, n.Status.Phase == corev1.NamespaceActive)
		}),
		typedKind(t, "nodes", func(n *corev1.Node, out *dashboardv1alpha1.Overview) {
			out.Nodes++
			addIf(&out.ReadyNodes, isReady(n))
			has := amountOf(n.Status.Allocatable)
			out.Resources.CPU.Allocatable += has.cpu
			out.Resources.Memory.Allocatable += has.memory
		}),
		typedKind(t, "events.v1.", func(e *corev1.Event, out *dashboardv1alpha1.Overview) {
			if isOwn(e) {
				return
			}
			out.RecentEvents = append(out.RecentEvents, describe(e))
			if len(out.RecentEvents) >= manyEvents {
				out.RecentEvents = newest(out.RecentEvents)
			}
		}),
	}
}

// isOwn returns true if e is about an object of KubeVision, such as a session or a binding. These events are frequent,
// and do not describe the workloads of the cluster.
func isOwn(e *corev1.Event) bool {
	return strings.HasPrefix(e.InvolvedObject.APIVersion, kubevisionv1alpha1.GroupName+"/")
}

func isReady(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

func describe(e *corev1.Event) dashboardv1alpha1.OverviewEvent {
	latest := e.CreationTimestamp
	for _, t := range []metav1.Time{e.FirstTimestamp, metav1.NewTime(e.EventTime.Time), e.LastTimestamp} {
		if latest.Before(&t) {
			latest = t
		}
	}
	if e.Series != nil && latest.Time.Before(e.Series.LastObservedTime.Time) {
		latest = metav1.NewTime(e.Series.LastObservedTime.Time)
	}
	return dashboardv1alpha1.OverviewEvent{
		Type: e.Type, Reason: e.Reason, Message: e.Message, ObjectKind: e.InvolvedObject.Kind,
		ObjectName: e.InvolvedObject.Name,
		Namespace:  e.InvolvedObject.Namespace, Timestamp: latest,
	}
}

func newest(all []dashboardv1alpha1.OverviewEvent) []dashboardv1alpha1.OverviewEvent {
	slices.SortStableFunc(all, func(a, b dashboardv1alpha1.OverviewEvent) int {
		return cmp.Or(b.Timestamp.Compare(a.Timestamp.Time), cmp.Compare(a.ObjectName, b.ObjectName))
	})
	return all[:min(len(all), recentEvents)]
}

func (t *tally) storageKinds() []scopedlist.Kind {
	return []scopedlist.Kind{
		typedKind(t, "persistentvolumes", func(v *corev1.PersistentVolume, out *dashboardv1alpha1.Overview) {
			bytes := v.Spec.Capacity.Storage().Value()
			out.PersistentVolumes++
			out.TotalStorageBytes += bytes
			addIf(&out.AvailablePVs, v.Status.Phase == corev1.VolumeAvailable)
			addIf(&out.ReleasedPVs, v.Status.Phase == corev1.VolumeReleased)
			if v.Status.Phase == corev1.VolumeBound {
				out.BoundPVs++
				out.AllocatedStorageBytes += bytes
			}
		}),
		typedKind(t, "persistentvolumeclaims", func(c *corev1.PersistentVolumeClaim, out *dashboardv1alpha1.Overview) {
			out.PersistentVolumeClaims++
			addIf(&out.PendingPVCs, c.Status.Phase == corev1.ClaimPending)
			if c.Status.Phase == corev1.ClaimBound {
				out.BoundPVCs++
				out.UsedStorageBytes += c.Spec.Resources.Requests.Storage().Value()
			}
		}),
	}
}
