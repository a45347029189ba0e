// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/clusters/kubeconfig"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/userlimit"
)

const (
	// KubeconfigKey is the key of the kubeconfig in a Secret if the KubeVisionCluster names no other key.
	KubeconfigKey = "kubeconfig"
	// openTimeout bounds the time to read the Secret with a kubeconfig from the host cluster.
	openTimeout = 5 * time.Second
)

// Revision identifies one version of the kubeconfig of a KubeVisionCluster. If a KubeVisionCluster is deleted and
// created again with the same name, its Revision is different.
type Revision struct {
	// Cluster is the UID of the KubeVisionCluster.
	Cluster types.UID
	// Secret is the UID of the Secret with the kubeconfig.
	Secret types.UID
	// Version is the resourceVersion of the Secret.
	Version string
	// Key is the key of the kubeconfig in the Secret.
	Key string
}

func (r Revision) replaces(old Revision) bool {
	same := Revision{Cluster: r.Cluster, Secret: r.Secret, Version: old.Version, Key: r.Key} == old
	if !same { // another KubeVisionCluster, Secret or key
		return true
	}
	order, err := resourceversion.CompareResourceVersion(r.Version, old.Version)
	if err != nil {
		return r.Version != old.Version
	}
	// An older version replaces nothing: it comes from a delayed watch, after a newer version was read.
	return order > 0
}

// RevisionOf returns the Revision of a KubeVisionCluster whose kubeconfig is in the given Secret.
func RevisionOf(c *kubevisionv1alpha1.KubeVisionCluster, secret metav1.Object) Revision {
	return Revision{
		Cluster: c.UID, Secret: secret.GetUID(), Version: secret.GetResourceVersion(),
		Key: cmp.Or(c.Spec.KubeconfigSecretRef.Key, KubeconfigKey),
	}
}

// CheckReference returns an error if the KubeVisionCluster references one of KubeVision's own Secrets (see
// names.IsOwnSecret). Such a Secret must never be read as a kubeconfig.
func CheckReference(c *kubevisionv1alpha1.KubeVisionCluster) error {
	if name := c.Spec.KubeconfigSecretRef.Name; names.IsOwnSecret(name) {
		return fmt.Errorf("secret %s is reserved for KubeVision; create another one for the kubeconfig", name)
	}
	return nil
}

// ReadKubeconfig parses the kubeconfig in the Secret of a KubeVisionCluster. Its errors contain no data of the Secret.
func ReadKubeconfig(c *kubevisionv1alpha1.KubeVisionCluster, secret *corev1.Secret) (*kubeconfig.Kubeconfig, error) {
	key := RevisionOf(c, secret).Key
	if len(secret.Data[key]) == 0 {
		return nil, fmt.Errorf("key %s of Secret %s is missing or empty", key, secret.Name)
	}
	k, err := kubeconfig.Parse(secret.Data[key])
	if err != nil {
		return nil, fmt.Errorf("key %s of Secret %s: %w", key, secret.Name, err)
	}
	return k, nil
}

// members contains the connections to member clusters, which are registered with a kubeconfig.
type members struct {
	// secrets reads the metadata of Secrets from a cache.
	secrets client.Reader
	// live reads a Secret from the API server of the host cluster.
	live   client.Reader
	policy addresspolicy.Policy
	bound  *BoundNames
	memory *budget.Budget
	// workGates limits the processing of large responses for each user.
	workGates *userlimit.Gates
	// traced contains the names of the clusters to which KubeVision sends requests with a traceparent header. "*" means
	// all clusters.
	traced []string
	// catalogBudget bounds the total memory of the catalogs of all member clusters. A catalog is the cached list of a
	// cluster's resources.
	catalogBudget *catalogBudget

	flight singleflight.Group
	mu     sync.Mutex
	// open contains the connections that are used for new requests, by the name of the KubeVisionCluster.
	open map[string]*openMember
	// retired contains replaced connections, by the name of the KubeVisionCluster. A connection is closed after
	// retireAfter, so that requests on it can end.
	retired map[string][]*openMember
}

type openMember struct {
	revision   Revision
	digest     [sha256.Size]byte
	member     *Member
	connection *Connection
	// outdatedSince is the time at which a newer kubeconfig was first noticed. It is zero if the kubeconfig is current.
	outdatedSince time.Time
	// renewalTried is the time of the last attempt to connect with a newer kubeconfig.
	renewalTried time.Time
}

// close closes the connection and ends the requests on it.
func (o *openMember) close() {
	o.member.Close()
	if o.connection != nil {
		o.connection.resources.close()
		o.connection.close()
	}
}

func (m *members) get(ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster) (*Connection, error) {
	if err := CheckReference(c); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotConnected, c.Name, err)
	}
	secret := secretMetadata()
	secretName := types.NamespacedName{Namespace: names.Namespace, Name: c.Spec.KubeconfigSecretRef.Name}
	if err := m.secrets.Get(ctx, secretName, secret); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNotConnected, c.Name, err)
	}
	wanted := RevisionOf(c, secret)
	serving, renew := m.connectionFor(c.Name, wanted)
	if renew { // The old connection is used until the cluster has responded on the new one.
		go m.renew(context.WithoutCancel(ctx), c, secretName, serving)
	}
	if serving != nil {
		return serving.connection, nil
	}
	opened, err, _ := m.flight.Do(fmt.Sprint(c.Name, wanted), func() (any, error) {
		if o, _ := m.connectionFor(c.Name, wanted); o != nil {
			return o, nil
		}
		o, err := m.connect(context.WithoutCancel(ctx), c, secretName) // other callers share the result
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

// connectionFor returns the open connection for requests to a cluster whose kubeconfig currently has the given
// revision. It returns nil if the caller must open a new connection. isRenewalDue is true if the caller must also call
// m.renew in the background.
func (m *members) connectionFor(name string, revision Revision) (serving *openMember, isRenewalDue bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.open[name]
	switch {
	case o == nil || o.revision.Cluster != revision.Cluster:
		return nil, false
	case !revision.replaces(o.revision):
		return o, false
	}
	now := time.Now()
	if o.outdatedSince.IsZero() {
		o.outdatedSince = now
	}
	if now.Sub(o.outdatedSince) > renewPatience { // the old kubeconfig may no longer be used
		return nil, false
	}
	if now.Sub(o.renewalTried) < renewPause {
		return o, false
	}
	o.renewalTried = now
	return o, true
}

func (m *members) connect(
	ctx context.Context, c *kubevisionv1alpha1.KubeVisionCluster, secretName types.NamespacedName,
) (*openMember, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	secret := &corev1.Secret{}
	if err := m.live.Get(ctx, secretName, secret); err != nil {
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
	// The credential of the kubeconfig is used only for token requests. The size of their responses has a fixed limit,
	// because these responses are not charged to a budget.Account.
	member.Registered.Transport = &boundedRoundTripper{
		next: member.Registered.Transport, timeout: callTimeout, bytes: maxTokenResponseBytes,
	}
	accounts, err := corev1client.NewForConfigAndClient(member.Config, member.Registered)
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	tokens := newTokenSource(accounts)
	authenticate := authenticated(tokens)
	connection, err := newConnection(member.Config, guarded(authenticate(member.anonymous)), tokens, m.bound,
		m.memory)
	if err != nil {
		return nil, err
	}
	connection.dialTransport = func() *http.Transport { return member.dialTransport }
	connection.authenticate = authenticate
	connection.setName(c.Name).member, connection.kubeconfig = true, k
	//nolint:contextcheck // the account lives as long as the connection
	connection.reader = newReaderAccount(connection.closed, member.Config, member.anonymous, accounts)
	connection.workGates, connection.resources.catalogBudget, connection.traced = m.workGates, m.catalogBudget, m.traced
	revision := RevisionOf(c, secret)
	return &openMember{
		revision: revision, digest: sha256.Sum256(secret.Data[revision.Key]), member: member, connection: connection,
	}, nil
}

// close closes all connections to a cluster and ends the requests on them. The caller must hold the lock.
func (m *members) close(name string) {
	for _, o := range append(m.retired[name], m.open[name]) {
		if o != nil {
			o.close()
		}
	}
	delete(m.retired, name)
	delete(m.open, name)
}

// forget closes the connections for which isGone returns true.
func (m *members) forget(isGone func(name string, r Revision) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, o := range m.open {
		if isGone(name, o.revision) {
			m.close(name)
		}
	}
	m.forgetRetired(isGone)
}
