// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"context"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/bindings"
	"github.com/kubevision-io/kubevision/pkg/names"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// background wraps a work queue, and adds requests to the queue with low priority. The controller uses it for events of
// the objects that the controller itself creates. The requests for thousands of such events must not delay requests for
// changes that may revoke rights.
type background struct{ queue }

// Add adds a request. If the queue supports priorities, the request has low priority.
func (q background) Add(request reconcile.Request) {
	if p, ok := q.queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		p.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, request)
		return
	}
	q.queue.Add(request)
}

// inBackground returns a source whose requests have low priority.
func inBackground(s source.Source) source.Source {
	return source.Func(func(ctx context.Context, q queue) error { return s.Start(ctx, background{q}) })
}

// madeObjectHandler returns an event handler for the objects that the controller creates. It enqueues the binding whose
// name is in the label of the object. For an update, it also enqueues the binding in the old label, so that the removal
// of the label is noticed.
func madeObjectHandler() handler.EventHandler {
	add := func(q queue, objects ...client.Object) {
		for _, o := range objects {
			for _, request := range requestsForLabel(o) {
				background{q}.Add(request)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { add(q, e.Object) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { add(q, e.ObjectOld, e.ObjectNew) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { add(q, e.Object) },
	}
}

func requestsForLabel(o client.Object) []reconcile.Request {
	if o.GetLabels()[names.RoleBindingLabel] == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: o.GetLabels()[names.RoleBindingLabel]}}}
}

// userHandler returns an event handler for KubeVisionUsers. When a user is created or deleted, or has joined or left a
// group, it enqueues the bindings that have the user or this group as a subject.
func (r *Reconciler) userHandler() handler.EventHandler {
	add := func(ctx context.Context, q queue, user string, groups sets.Set[string]) {
		for _, request := range r.requestsFor(ctx, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) bool {
			return slices.ContainsFunc(b.Spec.Subjects, func(s kubevisionv1alpha1.Subject) bool {
				return s.Kind == kubevisionv1alpha1.SubjectKubeVisionUser && s.Name == user ||
					s.Kind == kubevisionv1alpha1.SubjectKubeVisionGroup && groups.Has(s.Name)
			})
		}) {
			q.Add(request)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			add(ctx, q, e.Object.GetName(), groupsOf(e.Object))
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			add(ctx, q, e.Object.GetName(), groupsOf(e.Object))
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			before, after := groupsOf(e.ObjectOld), groupsOf(e.ObjectNew)
			ends := e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
			switch {
			case ends || e.ObjectOld.GetUID() != e.ObjectNew.GetUID():
				add(ctx, q, e.ObjectNew.GetName(), before.Union(after))
			case !before.Equal(after):
				add(ctx, q, e.ObjectNew.GetName(), before.SymmetricDifference(after))
			}
		},
	}
}

func groupsOf(o client.Object) sets.Set[string] {
	u, ok := o.(*kubevisionv1alpha1.KubeVisionUser)
	if !ok {
		return nil
	}
	return sets.New(u.Spec.Groups...)
}

// requestsForMember returns requests for the bindings that a change on a member cluster may affect. The given object is
// the changed one, or nil if a member cluster has become reachable or unreachable, which may affect all bindings.
func (r *Reconciler) requestsForMember(ctx context.Context, o client.Object) []reconcile.Request {
	m, isMetadata := o.(*metav1.PartialObjectMetadata)
	switch {
	case o == nil:
		return append(r.requestsForAll(ctx, nil), r.requestsForMemberObjects(ctx)...)
	case !isMetadata:
		return r.requestsForOwnRole(ctx, o)
	case m.Kind == "Namespace":
		return r.requestsForNamespace(ctx, o)
	default:
		return r.requestsForRole(ctx, m)
	}
}

// ownRoleHandler returns an event handler for the built-in ClusterRoles. It enqueues the bindings of a ClusterRole that
// was created or deleted, has received its first rules, or has lost all rules. The cache contains only ClusterRoles
// with KubeVision's label. Therefore, the removal of this label also causes a delete event.
func (r *Reconciler) ownRoleHandler() handler.EventHandler {
	add := func(ctx context.Context, q queue, o client.Object) {
		for _, request := range r.requestsForOwnRole(ctx, o) {
			q.Add(request)
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { add(ctx, q, e.Object) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { add(ctx, q, e.Object) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			before, ok := e.ObjectOld.(*rbacv1.ClusterRole)
			after, ok2 := e.ObjectNew.(*rbacv1.ClusterRole)
			if ok && ok2 && isRuleless(before) != isRuleless(after) {
				add(ctx, q, after)
			}
		},
	}
}

func (r *Reconciler) requestsForOwnRole(ctx context.Context, o client.Object) []reconcile.Request {
	if _, ok := o.(*rbacv1.ClusterRole); !ok || o.GetLabels()[names.ComponentLabel] == "" {
		return nil
	}
	return r.requestsForRole(ctx, o)
}

func requestsForMadeObject(_ context.Context, o client.Object) []reconcile.Request {
	if _, isMetadata := o.(*metav1.PartialObjectMetadata); o == nil || isMetadata {
		return nil
	}
	return requestsForLabel(o)
}

// requestsForMemberObjects returns requests for all bindings that have objects on member clusters. Some of these
// bindings may no longer exist. Their reconciliation deletes the objects.
func (r *Reconciler) requestsForMemberObjects(ctx context.Context) []reconcile.Request {
	found := sets.New[reconcile.Request]()
	for _, t := range r.Targets.All()[1:] { // all clusters except the host
		objects, err := listMade(ctx, t.Writer.Client, client.MatchingLabels{names.ManagedByLabel: names.ManagedBy})
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "Failed to list the objects that were created on a member",
				"clusterID", t.ID)
		}
		for _, o := range objects {
			found.Insert(requestsForLabel(o)...)
		}
	}
	return found.UnsortedList()
}

// requestsForNamespace returns requests for the bindings that a change of the namespace may affect:
//
//   - bindings that may need a RoleBinding in the namespace
//   - bindings that have a ServiceAccount of the namespace as a subject. Their reconciliation creates a Role in the
//     namespace that allows KubeVision to impersonate the ServiceAccount.
func (r *Reconciler) requestsForNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	return r.requestsFor(ctx, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) bool {
		return b.Spec.Namespaces != nil || bindings.SparesProtected(b.Spec.RoleRef) ||
			slices.ContainsFunc(b.Spec.Subjects, func(s kubevisionv1alpha1.Subject) bool {
				return s.Namespace == namespace.GetName()
			})
	})
}

// requestsForRole returns requests for the bindings that bind the ClusterRole.
func (r *Reconciler) requestsForRole(ctx context.Context, role client.Object) []reconcile.Request {
	return r.requestsFor(ctx, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) bool {
		return slices.Contains(bindings.ClusterRoles(b.Spec.RoleRef), role.GetName())
	})
}

// requestsForCluster returns requests for the bindings that may select the given KubeVisionCluster. A binding with an
// invalid label selector is included, because it is unknown which clusters the binding should select.
func (r *Reconciler) requestsForCluster(ctx context.Context, cluster client.Object) []reconcile.Request {
	return r.requestsFor(ctx, func(b *kubevisionv1alpha1.KubeVisionRoleBinding) bool {
		selected, err := bindings.SelectsCluster(b.Spec.Clusters, cluster.GetName(), cluster.GetLabels())
		return err != nil || selected
	})
}

func (r *Reconciler) requestsForAll(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requestsFor(ctx, func(*kubevisionv1alpha1.KubeVisionRoleBinding) bool { return true })
}

func (r *Reconciler) requestsFor(
	ctx context.Context, wanted func(*kubevisionv1alpha1.KubeVisionRoleBinding) bool,
) []reconcile.Request {
	var list kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := r.Client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Failed to list role bindings")
		return nil
	}
	var requests []reconcile.Request
	for i := range list.Items {
		if wanted(&list.Items[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}
