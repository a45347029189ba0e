// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// PolicyParameter applies a KubeVisionPolicyParameter with the given name and spec to the host cluster. It does not
// check who has created an existing object, because admission rejects writes of other clients.
func PolicyParameter(
	ctx context.Context, c client.Client, name string, spec kubevisionv1alpha1.KubeVisionPolicyParameterSpec,
) error {
	desired := &kubevisionv1alpha1.KubeVisionPolicyParameter{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	setLabel(desired)
	return (&Writer{Client: c}).apply(ctx, desired)
}
