// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clustercache

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// proofTimeout bounds the duration of a comparison of two clusters. The comparison writes a Secret and reads it.
	// The deletion of this Secret has a separate timeout of the same duration.
	proofTimeout = 10 * time.Second

	nonceKey   = "nonce"
	nonceBytes = 32
)

// proof says that two connections lead to the same Kubernetes cluster. It contains the revisions of their kubeconfigs.
type proof struct {
	ownRevision, holderRevision clusters.Revision
}

// sameCluster returns true if two clients lead to the same Kubernetes cluster. To compare the clusters, it writes a
// random value to the given Secret through one client, and reads the Secret through the other client.
func sameCluster(ctx context.Context, holder, other kubernetes.Interface, secret string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	// Only administrators of a cluster can access the Secret, so that a hostile API server does not know the value. The
	// comparison is made in both directions. If the first direction fails, nothing is written to the other cluster.
	if same, err := carriesNonce(ctx, holder, other, secret); err != nil || !same {
		return false, err
	}
	return carriesNonce(ctx, other, holder, secret)
}

func carriesNonce(ctx context.Context, from, to kubernetes.Interface, secret string) (_ bool, reterr error) {
	nonce := make([]byte, nonceBytes)
	_, _ = rand.Read(nonce) // rand.Read never fails
	written := corev1apply.Secret(secret, names.Namespace).
		WithLabels(map[string]string{names.ManagedByLabel: names.ManagedBy}).
		WithData(map[string][]byte{nonceKey: nonce})
	// The Secret is deleted even if the write fails, because a write without a response may have succeeded.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), proofTimeout)
		defer cancel()
		err := from.CoreV1().Secrets(names.Namespace).Delete(ctx, secret, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			reterr = errors.Join(reterr, fmt.Errorf("removing secret %s: %w", secret, err))
		}
	}()
	// Force replaces the nonce of an earlier proof.
	options := metav1.ApplyOptions{FieldManager: names.FieldManager, Force: true}
	if _, err := from.CoreV1().Secrets(names.Namespace).Apply(ctx, written, options); err != nil {
		return false, fmt.Errorf("writing secret %s: %w", secret, err)
	}
	read, err := to.CoreV1().Secrets(names.Namespace).Get(ctx, secret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading secret %s: %w", secret, err)
	}
	return subtle.ConstantTimeCompare(read.Data[nonceKey], nonce) == 1, nil
}

// nonceSecret returns the name of the Secret that sameCluster writes to compare two KubeVisionClusters. The parameter
// registration is the UID of the KubeVisionCluster that claims the identity of the other KubeVisionCluster.
func nonceSecret(registration types.UID) string { return "kubevision-identity-" + string(registration) }
