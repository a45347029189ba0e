// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters/dial"
	"github.com/kubevision-io/kubevision/pkg/clusters/kubeconfig"
	"github.com/kubevision-io/kubevision/pkg/names"
)

const (
	// KubeconfigKey is the default key of a kubeconfig in its Secret.
	KubeconfigKey = "kubeconfig"
	// openTimeout bounds the reading of a Secret of the host.
	openTimeout = 5 * time.Second
)

// Revision is which kubeconfig a connection was made with. A cluster that was removed and registered again under the
// same name has nothing of the old one.
type Revision struct {
	Cluster, Secret types.UID
	Version         string
	Key             string
}

// replaces says whether a connection with this revision is to take the place of one with another revision. Of one key
// of one Secret, versions go one way: the copy of a watch that lags behind is older than what was read.
func (r Revision) replaces(old Revision) bool {
	same := Revision{Cluster: r.Cluster, Secret: r.Secret, Version: old.Version, Key: r.Key} == old
	if !same {
		return true
	}
	is, err := strconv.ParseUint(r.Version, 10, 64)
	was, err2 := strconv.ParseUint(old.Version, 10, 64)
	if err != nil || err2 != nil {
		return r.Version != old.Version
	}
	return is > was
}

// RevisionOf is the revision that a cluster and its Secret are at.
func RevisionOf(c *kubevisionv1alpha1.KubeVisionCluster, secret metav1.Object) Revision {
	return Revision{
		Cluster: c.UID, Secret: secret.GetUID(), Version: secret.GetResourceVersion(), Key: cmp.Or(c.Spec.KubeconfigSecretRef.Key, KubeconfigKey),
	}
}

// CheckReference refuses a reference to a Secret that KubeVision keeps for itself, so that nothing of it is ever read as a kubeconfig.
func CheckReference(c *kubevisionv1alpha1.KubeVisionCluster) error {
	if name := c.Spec.KubeconfigSecretRef.Name; names.OwnSecret(name) {
		return fmt.Errorf("secret %s is KubeVision's own; make one for the kubeconfig and name that", name)
	}
	return nil
}

// ReadKubeconfig reads the kubeconfig that a Secret holds for a cluster. The error never holds a value.
func ReadKubeconfig(c *kubevisionv1alpha1.KubeVisionCluster, secret *corev1.Secret) (*kubeconfig.Kubeconfig, error) {
	key := RevisionOf(c, secret).Key
	k, err := kubeconfig.Parse(secret.Data[key])
	if err != nil {
		return nil, fmt.Errorf("key %s of Secret %s: %w", key, secret.Name, err)
	}
	return k, nil
}

// members are the connections to clusters that are registered by kubeconfig, by name.
type members struct {
	// secrets holds the metadata of the Secrets, and live reads one.
	secrets client.Reader
	live    client.Reader
	policy  dial.Policy
	bound   *Bound
	memory  *budget.Budget
	turns   *gates
	// discovered bounds what is kept of what members serve.
	discovered *discoveries

	flight singleflight.Group
	mu     sync.Mutex
	open   map[string]*openMember
	// retired are connections in whose place another one is, until the requests have ended that are under way there.
	retired map[string][]*openMember
}

type openMember struct {
	revision   Revision
	digest     [sha256.Size]byte
	member     *Member
	connection *Connection
	// outdated is when it was first known that there is another kubeconfig, and tried when that one was tried last.
	outdated, tried time.Time
}

// close ends the connection, and whatever is under way there.
func (o *openMember) close() {
	o.member.Close()
	if o.connection != nil {
		o.connection.resources.close()
	}
}

// get is the connection to the cluster. It waits for the host where there is no connection yet, and never for the
// cluster. Where the kubeconfig is new, the old connection serves until the cluster has answered by the new one, or for
// a while.
func (m *members) get(ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster) (*Connection, error) {
	if err := CheckReference(c); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotConnected, c.Name, err)
	}
	secret := secretMetadata()
	key := types.NamespacedName{Namespace: names.Namespace, Name: c.Spec.KubeconfigSecretRef.Name}
	if err := m.secrets.Get(ctx, key, secret); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotConnected, c.Name, err)
	}
	wanted := RevisionOf(c, secret)
	serving, renew := m.at(c.Name, wanted)
	if renew {
		go m.renew(context.WithoutCancel(ctx), c, key, serving)
	}
	if serving != nil {
		return serving.connection, nil
	}
	opened, err, _ := m.flight.Do(fmt.Sprint(c.Name, wanted), func() (any, error) {
		if o, _ := m.at(c.Name, wanted); o != nil {
			return o, nil
		}
		o, err := m.connect(context.WithoutCancel(ctx), c, key) // whoever asked first may go away
		if err != nil {
			return nil, err
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.close(c.Name)
		m.open[c.Name] = o
		return o, nil
	})
	o, ok := opened.(*openMember)
	if err != nil || !ok {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotConnected, c.Name, err)
	}
	return o.connection, nil
}

// at is the connection that serves a cluster for now, nil where there is none; and whether the caller is to renew it.
func (m *members) at(name string, wanted Revision) (serving *openMember, renew bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.open[name]
	switch {
	case o == nil || o.revision.Cluster != wanted.Cluster:
		return nil, false
	case !wanted.replaces(o.revision):
		return o, false
	}
	now := time.Now()
	if o.outdated.IsZero() {
		o.outdated = now
	}
	if now.Sub(o.outdated) > renewPatience {
		return nil, false
	}
	if now.Sub(o.tried) < renewPause {
		return o, false
	}
	o.tried = now
	return o, true
}

func (m *members) connect(ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, key types.NamespacedName) (*openMember, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	secret := &corev1.Secret{}
	if err := m.live.Get(ctx, key, secret); err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	k, err := ReadKubeconfig(c, secret)
	if err != nil {
		return nil, err
	}
	member, err := NewMember(k, m.policy, ServerLimits(), nil)
	if err != nil {
		return nil, err
	}
	// Nothing but tokens is asked for with the registered credential, and nobody's account holds the answer.
	member.Registered.Transport = &bounded{
		next: member.Registered.Transport, timeout: callTimeout, bytes: maxTokenResponseBytes,
	}
	accounts, err := corev1client.NewForConfigAndClient(member.Config, member.Registered)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	tokens := newTokenSource(accounts)
	connection, err := newConnection(member.Config, guarded(authenticated(member.anonymous, tokens)), tokens, m.bound, m.memory)
	if err != nil {
		return nil, err
	}
	connection.member, connection.kubeconfig = true, k
	connection.turns, connection.resources.kept = m.turns, m.discovered
	revision := RevisionOf(c, secret)
	return &openMember{
		revision: revision, digest: sha256.Sum256(secret.Data[revision.Key]), member: member, connection: connection,
	}, nil
}

// close ends the connection to a cluster, and whatever is under way there. The caller holds the lock.
func (m *members) close(name string) {
	for _, o := range append(m.retired[name], m.open[name]) {
		if o != nil {
			o.close()
		}
	}
	delete(m.retired, name)
	delete(m.open, name)
}

// forget closes connections that were made with what is not there any more, without waiting for the next request.
func (m *members) forget(gone func(name string, r Revision) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, o := range m.open {
		if gone(name, o.revision) {
			m.close(name)
		}
	}
	m.forgetRetired(gone)
}
