// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// renewPatience is the maximum time for which an old kubeconfig remains in use after a change. The new kubeconfig
	// replaces it earlier if the cluster responds to a request that uses the new kubeconfig.
	renewPatience = time.Minute
	// renewPause is the minimum time between two attempts to connect with a new kubeconfig.
	renewPause = 2 * time.Second
	// retireAfter is the time for which a replaced connection remains open, so that requests on it can end. After this
	// time, streams that continue, such as watches and terminals, are closed.
	retireAfter = time.Minute
	// maxRetired bounds the number of replaced connections per cluster that are not yet closed.
	maxRetired = 4
)

// renew connects with the current kubeconfig in the Secret secretName. If the cluster responds, the new connection
// replaces the old one.
func (m *members) renew(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, secretName types.NamespacedName, old *openMember,
) {
	ctx = budget.WithAccount(ctx, nil) // The account ends with the request that triggered the renewal.
	o, err := m.connect(ctx, c, secretName)
	if err == nil && o.digest != old.digest {
		err = o.connection.checkResponse(ctx)
	}
	logger := klog.FromContext(ctx).WithValues("cluster", c.Name)
	if err != nil {
		logger.Info("The cluster does not respond with the new kubeconfig yet", "reason", err.Error())
		if o != nil {
			o.close()
		}
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.open[c.Name] != old: // closed during the renewal
		o.close()
	case o.digest == old.digest: // only other fields of the objects, for example labels, have changed
		o.close()
		old.revision, old.outdatedSince = o.revision, time.Time{}
	default:
		m.open[c.Name] = o
		m.retire(c.Name, old)
		logger.Info("Connected with the changed kubeconfig")
	}
}

// checkResponse returns nil if the cluster responds on the connection. It requests a token, and uses the token to read
// the version of the cluster. Any response to the second request proves that the connection works, except a rejection
// of the token.
func (c *Connection) checkResponse(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, examineTimeout)
	defer cancel()
	_, err := ServerVersion(ctx, c.robot)
	var status apierrors.APIStatus
	if errors.As(err, &status) && !apierrors.IsUnauthorized(err) || errors.Is(err, ErrNoAPIServer) {
		return nil
	}
	return err
}

// retire schedules the closing of a replaced connection after retireAfter, so that its requests can finish. The caller
// must hold the lock.
func (m *members) retire(name string, o *openMember) {
	if m.retired == nil {
		m.retired = map[string][]*openMember{}
	}
	m.retired[name] = append(m.retired[name], o)
	if all := m.retired[name]; len(all) > maxRetired {
		all[0].close()
		m.retired[name] = slices.Clone(all[1:])
	}
	time.AfterFunc(retireAfter, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		o.close()
		m.removeRetired(name, func(other *openMember) bool { return other == o })
	})
}

// forgetRetired closes the replaced connections for which isGone returns true. The caller must hold the lock.
func (m *members) forgetRetired(isGone func(name string, r Revision) bool) {
	for name := range m.retired {
		m.removeRetired(name, func(o *openMember) bool {
			if !isGone(name, o.revision) {
				return false
			}
			o.close()
			return true
		})
	}
}

// removeRetired removes connections from m.retired[name] without closing them. It removes each connection for which
// mustRemove returns true. The caller must hold the lock.
func (m *members) removeRetired(name string, mustRemove func(*openMember) bool) {
	if m.retired[name] = slices.DeleteFunc(m.retired[name], mustRemove); len(m.retired[name]) == 0 {
		delete(m.retired, name)
	}
}
