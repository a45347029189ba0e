// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clusters connects to clusters and calls their API servers as a user. It contains the connections, the calls,
// the upgraded connections of terminals and forwarded ports, the discovery of resources, the tokens of KubeVision's
// accounts, the mode of the read cache, and the limits of all of them. No client acts as KubeVision.
package clusters

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/clusters/kubeconfig"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
	"github.com/kubevision-io/kubevision/pkg/identity"
)

// callTimeout bounds a call to a cluster.
const callTimeout = 30 * time.Second

const hostKeepAlive = 30 * time.Second

var (
	// ErrNotRegistered is returned when no KubeVisionCluster has the name.
	ErrNotRegistered = errors.New("cluster is not registered")
	// ErrNotConnected is returned when there is no connection to a registered cluster.
	ErrNotConnected = errors.New("cluster is not connected")
	// ErrIdentityConflict is returned for a registration if another registration holds the identity of its cluster. It
	// wraps ErrNotConnected.
	ErrIdentityConflict = fmt.Errorf("%w: its identity is in conflict with that of another registration",
		ErrNotConnected)
	// ErrImpatient is the cause of a context that ends before the cluster had time to respond. Such a failure does not
	// open the circuit breaker.
	ErrImpatient = errors.New("the request ended before the cluster had time to respond")
	// ErrNobodyToActAs is returned for a user without a role binding, whom KubeVision may not impersonate.
	ErrNobodyToActAs = errors.New("no KubeVisionRoleBinding names the user")
)

// Connections holds the connections to all clusters. A lookup never waits for a cluster.
type Connections struct {
	reader  client.Reader
	host    *Connection
	members *members
	// inForce determines the valid registration of the host.
	inForce *hostRegistration
}

// Options configures Connections.
type Options struct {
	// Config is the configuration of the program's own account on the host. It is used only to request tokens of the
	// impersonating account.
	Config *rest.Config
	// Cache reads KubeVision's objects. Secrets reads the metadata of the Secrets in KubeVision's namespace.
	Cache, Secrets cache.Cache
	// Live reads from the host without a cache.
	Live client.Reader
	// Bound holds the users and groups that may be impersonated.
	Bound *BoundNames
	// Policy restricts the addresses that may be dialed.
	Policy addresspolicy.Policy
	// Memory bounds the memory of discovery. Nil means no bound.
	Memory *budget.Budget
	// TracedClusters are the clusters to which calls carry the trace context. "*" means all clusters.
	TracedClusters []string
}

// NewConnections connects to the host. It connects to other clusters on first use.
func NewConnections(ctx context.Context, o Options) (*Connections, error) {
	kube, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("creating a client for the host: %w", err)
	}
	host, err := connect(o, kube.CoreV1())
	if err != nil {
		return nil, fmt.Errorf("connecting to the host: %w", err)
	}
	m := &members{
		secrets: o.Secrets, live: o.Live, policy: o.Policy, bound: o.Bound, memory: o.Memory, turns: host.turns,
		discovered: newCatalogBudget(maxAllDiscovered), open: map[string]*openMember{}, traced: o.TracedClusters,
	}
	if err := m.watch(ctx, o.Cache, o.Secrets); err != nil {
		return nil, err
	}
	inForce, err := newHostRegistration(ctx, o.Cache)
	if err != nil {
		return nil, err
	}
	c := &Connections{reader: o.Cache, host: host, members: m, inForce: inForce}
	if err := c.watchReadCache(ctx, o.Cache); err != nil {
		return nil, err
	}
	return c, nil
}

// Close closes the connections and ends the requests on them. It must be called after the last request has arrived.
func (c *Connections) Close() {
	c.members.forget(func(string, Revision) bool { return true })
	c.host.close()
}

// Get returns the connection to a registered cluster. It returns ErrNotRegistered or ErrNotConnected if there is none.
func (c *Connections) Get(ctx context.Context, name string) (*Connection, error) {
	cluster := &kubevisionv1alpha1.KubeVisionCluster{}
	err := c.reader.Get(ctx, types.NamespacedName{Name: name}, cluster, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %s", ErrNotRegistered, name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading cluster %s: %w", name, err)
	}
	switch {
	case !cluster.DeletionTimestamp.IsZero():
		return nil, fmt.Errorf("%w: %s is being removed", ErrNotConnected, name)
	case IsRefused(cluster):
		return nil, fmt.Errorf("%w: %s", ErrIdentityConflict, name)
	case IsOverLimit(cluster):
		return nil, fmt.Errorf("%w: %s sends more data than the controllers may cache (LimitExceeded)",
			ErrNotConnected, name)
	case cluster.Spec.InCluster:
		return c.hostBy(ctx, cluster)
	case cluster.Spec.KubeconfigSecretRef == nil:
		return nil, fmt.Errorf("%w: %s has no kubeconfig", ErrNotConnected, name)
	}
	connection, err := c.members.get(ctx, cluster)
	if err != nil {
		return nil, err
	}
	return connection.with(cluster), nil
}

// hostBy returns the connection to the host for a registration of the host, which must be the valid one.
func (c *Connections) hostBy(
	ctx context.Context, registration *kubevisionv1alpha1.KubeVisionCluster,
) (*Connection, error) {
	inForce, err := c.inForce.uid(ctx)
	if err != nil {
		return nil, err
	}
	if inForce != registration.UID {
		return nil, fmt.Errorf("%w: %s", ErrIdentityConflict, registration.Name)
	}
	return c.host.named(registration.Name).with(registration), nil
}

// Host returns the connection to the host cluster.
func (c *Connections) Host() *Connection { return c.host }

// HostAs returns a client for KubeVision's objects and Secrets on the host that acts as the user, with the rights that
// the RBAC of the host grants the user. It returns ErrNobodyToActAs under the same condition as Connection.As.
func (c *Connections) HostAs(ctx context.Context, u user.Info) (client.Client, error) {
	caller, err := c.host.As(ctx, u)
	if err != nil {
		return nil, err
	}
	return caller.objects()
}

// Connection is a connection to one cluster.
type Connection struct {
	config    *rest.Config
	transport http.RoundTripper
	// dialer returns the transport that provides the settings of upgraded connections. authenticate adds the credential
	// to the request for an upgrade.
	dialer       func() *http.Transport
	authenticate transport.WrapperFunc
	resources    *resourceMapper
	bound        *BoundNames
	// tokens requests tokens of the impersonating account. robot sends requests as that account, without impersonation.
	tokens *tokenSource
	robot  discovery.DiscoveryInterfaceWithContext
	// registration is the name of the registration.
	registration atomic.Pointer[string]
	// traced contains the clusters to which calls carry the trace context.
	traced []string
	// member is false for the host. The host has no kubeconfig.
	member     bool
	kubeconfig *kubeconfig.Kubeconfig
	// reader is the account of the read cache.
	reader *readerAccount
	// closed is done when the connection is closed.
	closed context.Context //nolint:containedctx // it ends with the connection, not with a request
	close  context.CancelFunc
	// turns is shared by all clusters. large and calls belong to this cluster.
	turns, large, calls *gates
	// lists bounds the cost of lists on this cluster.
	lists *budget.Queue
	sizes *listSizes
}

// connect connects to the host.
func connect(o Options, accounts corev1client.ServiceAccountsGetter) (*Connection, error) {
	anonymous := rest.AnonymousClientConfig(o.Config)
	anonymous.Timeout = callTimeout
	if anonymous.UserAgent == "" {
		anonymous.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	// Priority and fairness of the cluster distribute requests of many users better than a client-side queue.
	anonymous.QPS = -1
	if anonymous.Dial == nil { // a separate dialer, so that the transport is not shared with other clusters
		anonymous.Dial = (&net.Dialer{Timeout: callTimeout, KeepAlive: hostKeepAlive}).DialContext
	}
	var dialer func() *http.Transport
	anonymous.Wrap(func(next http.RoundTripper) http.RoundTripper {
		dialer = func() *http.Transport { return innermost(next) }
		if t := innermost(next); t != nil {
			http2 := windows()
			t.HTTP2 = &http2
		}
		return &boundedRoundTripper{next: next, timeout: callTimeout, bytes: maxResponseBytes}
	})
	base, err := rest.TransportFor(anonymous)
	if err != nil {
		return nil, fmt.Errorf("creating a transport: %w", err)
	}
	safe, tokens := &response.Transport{Next: base}, newTokenSource(accounts)
	ofUsers := newBreaker(clock.RealClock{}, maxHostPause, safe)
	authenticate := authenticated(tokens)
	c, err := newConnection(anonymous, authenticate(ofUsers), tokens, o.Bound, o.Memory)
	if err != nil {
		return nil, err
	}
	c.dialer, c.authenticate = dialer, authenticate
	c.reader, c.traced = newReaderAccount(c.closed, anonymous, safe, accounts), o.TracedClusters
	return c, nil
}

// innermost returns the innermost transport of the library's wrappers, or nil.
func innermost(rt http.RoundTripper) *http.Transport {
	for {
		switch t := rt.(type) {
		case *http.Transport:
			return t
		case utilnet.RoundTripperWrapper:
			rt = t.WrappedRoundTripper()
		default:
			return nil
		}
	}
}

// authenticated returns a function that authenticates requests only with tokens of the impersonating account.
func authenticated(tokens *tokenSource) transport.WrapperFunc {
	return withTokens(transport.NewCachedTokenSource(tokens))
}

// newConnection returns a connection that uses an authenticating transport.
func newConnection(
	anonymous *rest.Config, authenticated http.RoundTripper, tokens *tokenSource, bound *BoundNames,
	memory *budget.Budget,
) (*Connection, error) {
	anonymous = rest.CopyConfig(anonymous)
	anonymous.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	small := &boundedRoundTripper{
		next:    &elementRoundTripper{next: &chargingRoundTripper{next: authenticated, each: decodedDiscovery}},
		timeout: callTimeout, bytes: maxDiscoveryBytes,
	}
	tags := newEntityTags(small)
	robot := &http.Client{Transport: tags, Timeout: callTimeout, CheckRedirect: refuseRedirect}
	discoveryClient, err := discovery.NewDiscoveryClientForConfigAndClient(anonymous, robot)
	if err != nil {
		return nil, fmt.Errorf("creating a discovery client: %w", err)
	}
	closed, closer := context.WithCancel(context.Background())
	account := func() *budget.Account { return memory.Account("discovery of "+anonymous.Host, 0) }
	return &Connection{
		config: anonymous, transport: authenticated, resources: newResourceMapper(discoveryClient, tags, account),
		bound: bound, tokens: tokens,
		robot: discoveryClient, turns: newTurnGates(), large: newLargeGates(),
		calls: newGates(maxCalls), lists: newListQueue(), sizes: newListSizes(), closed: closed, close: closer,
	}, nil
}

func refuseRedirect(*http.Request, []*http.Request) error {
	return errors.New("the cluster's API server answered with a redirect")
}

// named sets the name of the registration. The host may be registered under another name later.
func (c *Connection) named(name string) *Connection {
	if c.name() != name {
		c.registration.Store(&name)
	}
	return c
}

// name returns the name of the registration, or an empty string for a host without a registration.
func (c *Connection) name() string {
	if name := c.registration.Load(); name != nil {
		return *name
	}
	return ""
}

// propagates returns true if calls to the cluster carry the trace context.
func (c *Connection) propagates() bool {
	return slices.Contains(c.traced, "*") || slices.Contains(c.traced, c.name())
}

// Done returns a channel that is closed when the connection is closed: the registration was deleted, or another
// kubeconfig has replaced it. The caller must then drop all cached data of this connection.
func (c *Connection) Done() <-chan struct{} { return c.closed.Done() }

// As returns a client that acts on the cluster as the user, with exactly the rights that the RBAC of the cluster gives
// the user. It returns ErrNobodyToActAs if no binding names the user or a group of the user.
func (c *Connection) As(ctx context.Context, u user.Info) (*Client, error) {
	allowed, err := c.bound.Impersonation(ctx)
	if err != nil {
		return nil, err
	}
	name, groups, ok := allowed.Identity(u.GetName(), u.GetGroups())
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrNobodyToActAs, u.GetName())
	}
	if c.member {
		name = identity.OnMember(name)
		for i := range groups {
			groups[i] = identity.OnMember(groups[i])
		}
	}
	return newClient(c, u.GetName(), transport.ImpersonationConfig{UserName: name, Groups: groups})
}
