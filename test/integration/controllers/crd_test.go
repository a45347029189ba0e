// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"maps"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

type object = map[string]any

type verdict struct {
	name string // if it is empty, a name is generated
	spec object
	want string // a part of the error; empty if the object is valid
}

func kubevisionObject(kind, name string, spec object) *unstructured.Unstructured {
	if name == "" {
		name = unique("crd")
	}
	u := &unstructured.Unstructured{Object: object{"spec": spec}}
	u.SetAPIVersion("kubevision.io/v1alpha1")
	u.SetKind(kind)
	u.SetName(name)
	return u
}

func judge(t *testing.T, kind string, table map[string]verdict) {
	for name, tc := range table {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := kubevisionObject(kind, tc.name, tc.spec)
			checkVerdict(t, writer(o).Create(t.Context(), o, client.DryRunAll), tc.want)
		})
	}
}

func checkVerdict(tb testing.TB, err error, want string) {
	tb.Helper()
	switch {
	case want == "" && err != nil:
		tb.Errorf("a valid object is rejected: %v", err)
	case want != "" && err == nil:
		tb.Errorf("an invalid object is accepted, want %q", want)
	case want != "" && (!apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) ||
		!strings.Contains(err.Error(), want)):
		tb.Errorf("the message is %q, want %q", err, want)
	}
}

func judgeChange(tb testing.TB, kind string, before, after object, want string) {
	tb.Helper()
	o := kubevisionObject(kind, "", before)
	create(tb, o)
	eventually(tb, soon, "change "+o.GetName(), func(ctx context.Context) error {
		if err := env.Client.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		changed := o.DeepCopy()
		changed.Object["spec"] = after
		err := writer(changed).Update(ctx, changed, client.DryRunAll)
		if apierrors.IsConflict(err) {
			return err
		}
		checkVerdict(tb, err, want)
		return nil
	})
}

// with returns the base with changed fields. A nil value removes a field.
func with(base object, changes object) object {
	out := maps.Clone(base)
	for k, v := range changes {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}
