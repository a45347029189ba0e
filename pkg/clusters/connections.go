// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clusters owns every connection to a cluster. Whoever wants to talk to one gets it here, as somebody: there is no client
// without a user.
package clusters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
)

// callTimeout ends a call to a cluster that does not answer.
const callTimeout = 30 * time.Second

var (
	// ErrNotRegistered is a cluster that there is no KubeVisionCluster for.
	ErrNotRegistered = errors.New("cluster is not registered")
	// ErrNotConnected is a registered cluster to which there is no connection.
	ErrNotConnected = errors.New("cluster is not connected")
	// ErrNobodyToActAs is a user whom no binding names, and whom nobody may act for.
	ErrNobodyToActAs = errors.New("no KubeVisionRoleBinding names the user")
)

// Connections finds the connection to a cluster. Finding makes no call and never waits.
type Connections struct {
	reader client.Reader
	host   *Connection
}

// NewConnections connects to the host. The configuration is that of the program's own account, which is used for nothing but to get
// tokens of the impersonating account; the reader holds the KubeVision objects.
func NewConnections(config *rest.Config, reader client.Reader, bound *Bound) (*Connections, error) {
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for the host: %w", err)
	}
	host, err := connect(config, newTokenSource(kube.CoreV1()), bound)
	if err != nil {
		return nil, fmt.Errorf("connecting to the host: %w", err)
	}
	return &Connections{reader: reader, host: host}, nil
}

// Get is the connection to a registered cluster. It is ErrNotRegistered or ErrNotConnected where there is none.
func (c *Connections) Get(ctx context.Context, name string) (*Connection, error) {
	cluster := &kubevisionv1alpha1.KubeVisionCluster{}
	err := c.reader.Get(ctx, types.NamespacedName{Name: name}, cluster)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%w: %s", ErrNotRegistered, name)
	}
	if err != nil {
		return nil, fmt.Errorf("reading cluster %s: %w", name, err)
	}
	if !cluster.Spec.InCluster || !cluster.DeletionTimestamp.IsZero() {
		return nil, fmt.Errorf("%w: %s", ErrNotConnected, name)
	}
	return c.host, nil
}

// HostAs is a client for the host's KubeVision objects and Secrets that acts as the user, with exactly the rights that the host's RBAC gives
// them. It is ErrNobodyToActAs as Connection.As is.
func (c *Connections) HostAs(ctx context.Context, u user.Info) (client.Client, error) {
	caller, err := c.host.As(ctx, u)
	if err != nil {
		return nil, err
	}
	return caller.objects()
}

// Connection is a way to one cluster.
type Connection struct {
	config    *rest.Config
	transport http.RoundTripper
	resources *resources
	bound     *Bound
}

// connect makes a connection that authenticates with tokens of the impersonating account and with nothing else.
func connect(config *rest.Config, tokens *tokenSource, bound *Bound) (*Connection, error) {
	anonymous := rest.AnonymousClientConfig(config)
	anonymous.Timeout = callTimeout
	anonymous.QPS = -1 // the cluster's own flow control is fairer to many users than one queue in front of it
	anonymous.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	base, err := rest.TransportFor(anonymous)
	if err != nil {
		return nil, fmt.Errorf("making a transport: %w", err)
	}
	authenticated := transport.ResettableTokenSourceWrapTransport(transport.NewCachedTokenSource(tokens))(base)
	robot := &http.Client{Transport: authenticated, Timeout: callTimeout, CheckRedirect: refuseRedirect}
	discoveryClient, err := discovery.NewDiscoveryClientForConfigAndClient(anonymous, robot)
	if err != nil {
		return nil, fmt.Errorf("making a discovery client: %w", err)
	}
	return &Connection{config: anonymous, transport: authenticated, resources: newResources(discoveryClient), bound: bound}, nil
}

func refuseRedirect(*http.Request, []*http.Request) error {
	return errors.New("the cluster's API server answered with a redirect")
}

// Resource finds a kind of objects by plural, plural.group or plural.version.group. It is false where the cluster serves none.
func (c *Connection) Resource(ctx context.Context, name string) (Resource, bool, error) {
	return c.resources.find(ctx, name)
}

// As is a client that acts on the cluster as the user, with exactly the rights that the cluster's own RBAC gives them. It is
// ErrNobodyToActAs where no binding names the user or a group of theirs.
func (c *Connection) As(ctx context.Context, u user.Info) (*Caller, error) {
	allowed, err := c.bound.Impersonation(ctx)
	if err != nil {
		return nil, err
	}
	name, groups, ok := allowed.As(u.GetName(), u.GetGroups())
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrNobodyToActAs, u.GetName())
	}
	return newCaller(c, name, groups)
}
