// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/names"
)

// BindingIndex is a field index of RBAC objects by the name of their KubeVisionRoleBinding.
const BindingIndex = "kubevision.io/role-binding"

// IndexBindings adds BindingIndex to a cache.
func IndexBindings(ctx context.Context, indexer client.FieldIndexer) error {
	for _, kind := range []client.Object{&rbacv1.ClusterRole{}, &rbacv1.ClusterRoleBinding{}, &rbacv1.RoleBinding{}} {
		err := indexer.IndexField(ctx, kind, BindingIndex, func(o client.Object) []string {
			if binding := o.GetLabels()[names.RoleBindingLabel]; binding != "" {
				return []string{binding}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("indexing %T by role binding: %w", kind, err)
		}
	}
	return nil
}

const maxRememberedNames = 1024

// ShareMemory returns a cache transform for RoleBindings that saves memory. It stores equal names, labels and subjects
// only once, because one KubeVisionRoleBinding can have thousands of RoleBindings. It also removes data that KubeVision
// never writes, for example annotations.
func ShareMemory() toolscache.TransformFunc {
	var mu sync.Mutex
	last := map[string]*rbacv1.RoleBinding{} // the last RoleBinding of each name, in any namespace
	return func(o any) (any, error) {
		b, ok := o.(*rbacv1.RoleBinding)
		if !ok {
			return o, nil
		}
		trim(b)
		mu.Lock()
		defer mu.Unlock()
		like := last[b.Name]
		if like != nil {
			b.Name = like.Name
			if maps.Equal(b.Labels, like.Labels) {
				b.Labels = like.Labels
			}
			if slices.Equal(b.Subjects, like.Subjects) {
				b.Subjects = like.Subjects
			}
			if b.RoleRef == like.RoleRef {
				b.RoleRef = like.RoleRef
			}
		}
		if len(last) >= maxRememberedNames {
			clear(last) // bounds the memory of the map
		}
		last[b.Name] = b
		return b, nil
	}
}

// Trim returns a cache transform for RBAC objects with KubeVision's label. It removes data that KubeVision never
// writes, for example annotations. Otherwise, any user with write access to one namespace could fill the memory with
// large objects that have the label.
func Trim() toolscache.TransformFunc {
	return func(o any) (any, error) {
		if object, ok := o.(client.Object); ok {
			trim(object)
		}
		return o, nil
	}
}

// TrimMetadata returns a cache transform that removes managedFields, annotations, owner references and finalizers.
func TrimMetadata() toolscache.TransformFunc {
	return func(o any) (any, error) {
		if object, ok := o.(client.Object); ok {
			object.SetManagedFields(nil)
			object.SetAnnotations(nil)
			object.SetOwnerReferences(nil)
			object.SetFinalizers(nil)
		}
		return o, nil
	}
}

const (
	// maxFinalizers bounds the number of finalizers that the cache stores per object.
	maxFinalizers = 4
	// maxPartBytes bounds the size of the rules of a cached Role, and of the subjects of a cached RoleBinding, in
	// bytes. Larger rules or subjects are not cached. KubeVision's own objects are several times smaller.
	maxPartBytes = 1 << 20
	// stringOverhead is the memory of a string in addition to its text, in bytes.
	stringOverhead = 16
	// ruleOverhead is the memory of an RBAC rule in addition to its strings, in bytes.
	ruleOverhead = 120
)

func trim(o client.Object) {
	o.SetManagedFields(nil)
	o.SetAnnotations(nil)
	o.SetOwnerReferences(nil)
	if all := o.GetFinalizers(); len(all) > maxFinalizers {
		o.SetFinalizers(slices.Clone(all[:maxFinalizers]))
	}
	known := map[string]string{}
	for key, value := range o.GetLabels() {
		if isOwnLabel(key) {
			known[key] = value
		}
	}
	o.SetLabels(known)
	switch o := o.(type) {
	case *rbacv1.Role:
		if !isOwnName(o.Name) || ruleBytes(o.Rules) > maxPartBytes {
			// One empty rule remains. Without a rule, the controllers would assume that the Role grants no rights.
			o.Rules = slices.Clone(o.Rules[:min(len(o.Rules), 1)])
			for i := range o.Rules {
				o.Rules[i] = rbacv1.PolicyRule{}
			}
		}
	case *rbacv1.RoleBinding:
		if !isOwnName(o.Name) || len(o.RoleRef.Name)+subjectBytes(o.Subjects) > maxPartBytes {
			o.RoleRef = rbacv1.RoleRef{}
			// One empty subject remains, so that the controllers do not assume that the object grants no rights.
			o.Subjects = slices.Clone(o.Subjects[:min(len(o.Subjects), 1)])
			for i := range o.Subjects {
				o.Subjects[i] = rbacv1.Subject{}
			}
		}
	}
}

func isOwnLabel(key string) bool {
	return key == names.ManagedByLabel || key == names.RoleBindingLabel || key == names.ComponentLabel
}

func isOwnName(name string) bool {
	return strings.HasPrefix(name, names.Impersonator) || strings.HasPrefix(name, names.GrantedRole(""))
}

func ruleBytes(rules []rbacv1.PolicyRule) int {
	size := 0
	for i := range rules {
		r := &rules[i]
		size += ruleOverhead
		for _, list := range [][]string{r.Verbs, r.APIGroups, r.Resources, r.ResourceNames, r.NonResourceURLs} {
			for _, text := range list {
				size += len(text) + stringOverhead
			}
		}
	}
	return size
}

func subjectBytes(subjects []rbacv1.Subject) int {
	size := 0
	for _, s := range subjects {
		size += len(s.Kind) + len(s.APIGroup) + len(s.Name) + len(s.Namespace) + 4*stringOverhead
	}
	return size
}
