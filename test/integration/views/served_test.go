// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package views_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

var appsVersion = schema.GroupVersion{Group: "apps", Version: "v1"}

func gadgetsAreServed(v *viewer, group string) func(context.Context) error {
	return func(ctx context.Context) error {
		r := v.asks(onHost + "/crds/refresh")
		r.Method = http.MethodPost
		if err := v.client.Answers(ctx, wire.OK, r); err != nil {
			return fmt.Errorf("refreshing: %w", err)
		}
		response, err := v.client.Do(ctx, v.asks(onHost+"/crds"))
		if err != nil {
			return fmt.Errorf("asking: %w", err)
		}
		found, err := parse[[]dashboardv1alpha1.CustomResource](response)
		if err != nil {
			return err
		}
		want := dashboardv1alpha1.CustomResource{
			Name: "gadgets." + group, Group: group, Version: "v1", Kind: "Gadget", Plural: "gadgets", Namespaced: true,
		}
		if !slices.ContainsFunc(found, func(c dashboardv1alpha1.CustomResource) bool {
			return c.Name == want.Name && c.Group == want.Group && c.Version == want.Version && c.Kind == want.Kind &&
				c.Plural == want.Plural && c.Namespaced
		}) {
			return errors.New("it is not served yet")
		}
		return nil
	}
}
