// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clusters connects to clusters and calls their API servers with the identity of a user. Requests of users
// impersonate the user. The following requests do not impersonate a user:
//   - requests for discovery
//   - requests for tokens
//   - watches of RBAC objects
//   - requests of the read cache
//   - requests of the controllers
//
// The package contains:
//   - the connection to each cluster, which is renewed when the kubeconfig changes, and a circuit breaker for a
//     cluster that does not respond
//   - calls, streamed responses such as logs, and upgraded connections for terminals and port forwarding
//   - the discovery of the resources and schemas that a cluster serves
//   - the tokens of KubeVision's ServiceAccounts
//   - the check of the one-time code for calls that require step-up authentication
//   - limits for concurrent calls, for the time, the size and the decoded memory of responses, and for the caches
//     of controllers
//   - the client with which the read cache lists and watches objects
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
	"github.com/kubevision-io/kubevision/pkg/userlimit"
)

// callTimeout bounds the duration of a request to a cluster.
const callTimeout = 30 * time.Second

const hostKeepAlive = 30 * time.Second

var (
	// ErrNotRegistered is returned if there is no KubeVisionCluster with the name.
	ErrNotRegistered = errors.New("cluster is not registered")
	// ErrNotConnected is returned if there is no connection to a registered cluster.
	ErrNotConnected = errors.New("cluster is not connected")
	// ErrIdentityConflict is returned for a KubeVisionCluster if another KubeVisionCluster is registered for the same
	// Kubernetes cluster and has precedence. It wraps ErrNotConnected.
	ErrIdentityConflict = fmt.Errorf("%w: its identity is in conflict with that of another registration",
		ErrNotConnected)
	// ErrImpatient is the cause of a context that was cancelled before the cluster had time to respond. A request that
	// fails with this cause does not open the circuit breaker.
	ErrImpatient = errors.New("the request ended before the cluster had time to respond")
	// ErrNobodyToActAs is returned for a user whom KubeVision may not impersonate, because no KubeVisionRoleBinding
	// names the user or a group of the user.
	ErrNobodyToActAs = errors.New("no KubeVisionRoleBinding names the user")
)

// Connections contains the connections to the host cluster and to all member clusters.
type Connections struct {
	reader  client.Reader
	host    *Connection
	members *members
	// hostRegistration selects the KubeVisionCluster that represents the host cluster. If several KubeVisionClusters
	// set spec.inCluster, only the oldest is valid.
	hostRegistration *hostRegistration
}

// Options configures Connections.
type Options struct {
	// Config is the client configuration of the program's own ServiceAccount on the host cluster. It is used only to
	// request tokens of the impersonating ServiceAccount and of the ServiceAccount of the read cache.
	Config *rest.Config
	// Cache reads objects of the KubeVision kinds.
	Cache cache.Cache
	// Secrets reads the metadata of the Secrets in KubeVision's namespace.
	Secrets cache.Cache
	// Live reads from the API server of the host cluster without a cache.
	Live client.Reader
	// Bound holds the users and groups that may be impersonated.
	Bound *BoundNames
	// Policy restricts the IP addresses to which connections may be opened.
	Policy addresspolicy.Policy
	// Memory bounds the memory that discovery uses. Nil means no bound.
	Memory *budget.Budget
	// TracedClusters contains the names of the clusters to which KubeVision sends requests with a traceparent header.
	// "*" means all clusters.
	TracedClusters []string
}

// NewConnections prepares the connection to the host cluster. Connections to member clusters are opened on first use.
// NewConnections returns an error if the configuration is invalid or the caches have no informers for the required
// kinds.
func NewConnections(ctx context.Context, o Options) (*Connections, error) {
	kube, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("creating a client for the host: %w", err)
	}
	host, err := connectHost(o, kube.CoreV1())
	if err != nil {
		return nil, fmt.Errorf("connecting to the host: %w", err)
	}
	m := &members{
		secrets: o.Secrets, live: o.Live, policy: o.Policy, bound: o.Bound, memory: o.Memory, workGates: host.workGates,
		catalogBudget: newCatalogBudget(maxAllDiscovered), open: map[string]*openMember{}, traced: o.TracedClusters,
	}
	if err := m.watch(ctx, o.Cache, o.Secrets); err != nil {
		return nil, err
	}
	registration, err := newHostRegistration(ctx, o.Cache)
	if err != nil {
		return nil, err
	}
	c := &Connections{reader: o.Cache, host: host, members: m, hostRegistration: registration}
	if err := c.watchReadCache(ctx, o.Cache); err != nil {
		return nil, err
	}
	return c, nil
}

// Close closes all connections and ends the requests on them. It must be called after the server has stopped accepting
// requests.
func (c *Connections) Close() {
	c.members.forget(func(string, Revision) bool { return true })
	c.host.close()
}

// Get returns the connection to the cluster that the KubeVisionCluster with the given name represents. It does not wait
// for a response of this cluster. It returns ErrNotRegistered if there is no such KubeVisionCluster, and
// ErrNotConnected if the cluster cannot be used.
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
	return connection.setReadCacheMode(cluster), nil
}

// hostBy returns the connection to the host cluster if the given KubeVisionCluster represents the host cluster.
// Otherwise, it returns ErrIdentityConflict. If several KubeVisionClusters set spec.inCluster, only the oldest
// represents the host cluster.
func (c *Connections) hostBy(
	ctx context.Context, registration *kubevisionv1alpha1.KubeVisionCluster,
) (*Connection, error) {
	inForce, err := c.hostRegistration.uid(ctx)
	if err != nil {
		return nil, err
	}
	if inForce != registration.UID {
		return nil, fmt.Errorf("%w: %s", ErrIdentityConflict, registration.Name)
	}
	return c.host.setName(registration.Name).setReadCacheMode(registration), nil
}

// Host returns the connection to the host cluster.
func (c *Connections) Host() *Connection { return c.host }

// HostAs returns a client for the KubeVision kinds and for Secrets of the host cluster. The client impersonates the
// user. HostAs returns ErrNobodyToActAs if no role binding names the user or a group of the user.
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
	// dialTransport returns the http.Transport of the connection, or nil if there is no http.Transport. Terminals and
	// port forwarding open connections with the same dial function and TLS configuration.
	dialTransport func() *http.Transport
	// authenticate wraps the round tripper for an upgrade, for example for a terminal. It adds a bearer token to each
	// request.
	authenticate transport.WrapperFunc
	resources    *resourceMapper
	bound        *BoundNames
	// tokens is the source of the impersonating ServiceAccount's tokens.
	tokens *tokenSource
	// robot sends discovery requests with the token of the impersonating ServiceAccount. These requests do not
	// impersonate a user.
	robot discovery.DiscoveryInterfaceWithContext
	// registration is the name of the KubeVisionCluster that represents the cluster. It is nil until setName is called.
	registration atomic.Pointer[string]
	// traced contains the names of the clusters to which KubeVision sends requests with a traceparent header. "*" means
	// all clusters.
	traced []string
	// member is true for a member cluster, and false for the host cluster.
	member bool
	// kubeconfig contains the address and the credential of a member cluster. It is nil for the host cluster.
	kubeconfig *kubeconfig.Kubeconfig
	// reader authenticates the requests of the read cache to the cluster. If it is nil, the read cache is disabled.
	reader *readerAccount
	// closed is a context that is cancelled when the connection is closed.
	closed context.Context //nolint:containedctx // it ends with the connection, not with a request
	close  context.CancelFunc
	// workGates limits the number of large responses that are processed for each user at the same time, and the
	// processor time for them. All clusters share these limits.
	workGates *userlimit.Gates
	// largeGates limits the number of large responses of this cluster that each user has open at the same time. A
	// response is open until its body is closed.
	largeGates *userlimit.Gates
	// callGates limits the number of concurrent calls of each user to this cluster.
	callGates *userlimit.Gates
	// listQueue bounds the total size of the lists that are read from this cluster at the same time.
	listQueue *budget.Queue
	// sizes records the sizes of earlier lists, to estimate the sizes of later ones.
	sizes *listSizes
}

// connectHost returns the connection to the host cluster. Requests on it carry tokens of the impersonating
// ServiceAccount, not the credential of o.Config.
func connectHost(o Options, accounts corev1client.ServiceAccountsGetter) (*Connection, error) {
	anonymous := rest.AnonymousClientConfig(o.Config)
	anonymous.Timeout = callTimeout
	if anonymous.UserAgent == "" {
		anonymous.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	// A negative QPS disables the rate limiter of client-go, which does not distinguish users. API Priority and
	// Fairness of the cluster distributes the requests of many users better.
	anonymous.QPS = -1
	if anonymous.Dial == nil { // a separate dialer, so that the transport is not shared with other clusters
		anonymous.Dial = (&net.Dialer{Timeout: callTimeout, KeepAlive: hostKeepAlive}).DialContext
	}
	var dialTransport func() *http.Transport
	anonymous.Wrap(func(next http.RoundTripper) http.RoundTripper {
		dialTransport = func() *http.Transport { return innermost(next) }
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
	c.dialTransport, c.authenticate = dialTransport, authenticate
	c.reader, c.traced = newReaderAccount(c.closed, anonymous, safe, accounts), o.TracedClusters
	return c, nil
}

// innermost unwraps the round tripper until it finds an http.Transport. It returns nil if there is none.
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

// authenticated returns a function that wraps a transport so that each request carries a token of the impersonating
// ServiceAccount.
func authenticated(tokens *tokenSource) transport.WrapperFunc {
	return withTokens(transport.NewCachedTokenSource(tokens))
}

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
		robot: discoveryClient, workGates: userlimit.NewWork(), largeGates: newLargeGates(),
		callGates: newGates(maxCalls), listQueue: newListQueue(), sizes: newListSizes(), closed: closed, close: closer,
	}, nil
}

func refuseRedirect(*http.Request, []*http.Request) error {
	return errors.New("the cluster's API server answered with a redirect")
}

// setName records the name of the KubeVisionCluster to which the connection belongs, and returns the connection. The
// name of the host cluster's connection can change: if the KubeVisionCluster of the host cluster is deleted, another
// one may take its place.
func (c *Connection) setName(name string) *Connection {
	if c.name() != name {
		c.registration.Store(&name)
	}
	return c
}

// name returns the name of the KubeVisionCluster to which the connection belongs. It returns an empty string for a
// connection to the host cluster if no KubeVisionCluster represents the host cluster.
func (c *Connection) name() string {
	if name := c.registration.Load(); name != nil {
		return *name
	}
	return ""
}

// propagates returns true if requests to the cluster carry a traceparent header.
func (c *Connection) propagates() bool {
	return slices.Contains(c.traced, "*") || slices.Contains(c.traced, c.name())
}

// Done returns a channel that is closed when the connection is closed, because the KubeVisionCluster was deleted or has
// a new kubeconfig. The caller must then drop the data that it has cached from this connection.
func (c *Connection) Done() <-chan struct{} { return c.closed.Done() }

// As returns a client that impersonates the user on the cluster. The client has exactly the rights that the RBAC of the
// cluster grants the impersonated user and groups. As returns ErrNobodyToActAs if no role binding names the user or a
// group of the user.
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
