// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package favorite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
)

const (
	// key is the key of the favorites in the data of a ConfigMap.
	key = "favorites"
	// maxBytes bounds the bytes of the JSON of a user's favorites.
	maxBytes = 32 << 10
)

// contention returns the backoff between retries after a conflict with another request of the same user.
func contention() wait.Backoff {
	return wait.Backoff{Steps: 8, Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.5}
}

// load returns the favorites of u and the ConfigMap that contains them. The ConfigMap is nil if it does not exist.
// Favorites of a deleted user with the same name are not returned.
func (e *Provider) load(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser,
) (*corev1.ConfigMap, *favorites, error) {
	found, kept := &corev1.ConfigMap{}, &favorites{}
	name := names.FavoritesConfigMap(u.Name)
	err := e.Client.Get(ctx, types.NamespacedName{Namespace: names.Namespace, Name: name}, found)
	switch {
	case apierrors.IsNotFound(err):
		return nil, kept, nil
	case err != nil:
		return nil, nil, fmt.Errorf("reading favorites: %w", err)
	case found.Labels[names.ManagedByLabel] != names.ManagedBy:
		return nil, nil, envelope.New(dashboardv1alpha1.CodeConflict,
			"the ConfigMap %q does not belong to KubeVision: favorites cannot be stored", name)
	case !hostobjects.IsOwnedBy(found, u):
		return found, kept, nil // The favorites belong to a deleted user with the same name.
	}
	if err := json.Unmarshal([]byte(found.Data[key]), kept); err != nil {
		klog.FromContext(ctx).Info("Favorites cannot be read", "configMap", klog.KObj(found))
		kept = &favorites{}
	}
	return found, kept, nil
}

// change reads the favorites of u, calls modify() with them, and writes them. It retries after a conflict. If modify
// returns an error, change writes nothing and returns the error.
func (e *Provider) change(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, modify func(*favorites) error,
) error {
	err := retry.OnError(contention(), isInterrupted, func() error {
		found, kept, err := e.load(ctx, u)
		if err != nil {
			return err
		}
		if err := modify(kept); err != nil {
			return err
		}
		text, err := json.Marshal(kept)
		if err != nil {
			return fmt.Errorf("encoding favorites: %w", err)
		}
		if len(text) > maxBytes {
			return envelope.New(dashboardv1alpha1.CodeConflict,
				"your favorites take more than %d bytes: remove one of them first", maxBytes)
		}
		return e.save(ctx, u, found, string(text))
	})
	if isInterrupted(err) {
		return envelope.New(dashboardv1alpha1.CodeStale,
			"your favorites were changed concurrently: try again").WithCause(err)
	}
	return err
}

// isInterrupted returns true if err means that another request has written or deleted the ConfigMap concurrently.
func isInterrupted(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}

func (e *Provider) save(
	ctx context.Context, u *kubevisionv1alpha1.KubeVisionUser, found *corev1.ConfigMap, text string,
) error {
	made := found == nil
	if made {
		found = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: names.Namespace, Name: names.FavoritesConfigMap(u.Name),
		}}
	}
	metav1.SetMetaDataLabel(&found.ObjectMeta, names.ManagedByLabel, names.ManagedBy)
	metav1.SetMetaDataLabel(&found.ObjectMeta, names.UserLabel, u.Name)
	found.OwnerReferences = kubevisionv1alpha1.OwnerReferences(kubevisionv1alpha1.KindUser, u)
	found.Data, found.BinaryData = map[string]string{key: text}, nil
	var err error
	if made {
		err = e.Client.Create(ctx, found)
	} else {
		err = e.Client.Update(ctx, found)
	}
	if err != nil {
		return fmt.Errorf("writing favorites: %w", err)
	}
	return nil
}
