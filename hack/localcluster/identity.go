// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	adminUser  = "kubernetes-admin"
	adminGroup = "system:masters"

	// tokenSeconds is 30 days, because the token in a kubeconfig is never renewed and a detached run may continue for
	// days.
	tokenSeconds   = 30 * 24 * 60 * 60
	accountTimeout = 10 * time.Second
)

// Config returns a client configuration with full rights in the cluster.
func (c *Cluster) Config() *rest.Config { return c.certificateConfig(c.keys.admin) }

// KubeVisionConfig returns a copy of admin that impersonates the ServiceAccount of kubevision-controller-manager.
// Admission allows only ServiceAccounts of KubeVision to write sessions, credentials and similar objects. The client
// keeps full rights, because it also impersonates the group system:masters.
func KubeVisionConfig(admin *rest.Config) *rest.Config {
	config := rest.CopyConfig(admin)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + Namespace + ":" + controllerManagerProgram, Groups: []string{adminGroup},
	}
	return config
}

// UserConfig returns a client configuration for a user whose client certificate contains the name and groups.
func (c *Cluster) UserConfig(name string, groups ...string) (*rest.Config, error) {
	pair, err := c.keys.cluster.IssueClient(name, groups...)
	if err != nil {
		return nil, err
	}
	return c.certificateConfig(pair), nil
}

// AnonymousConfig returns a client configuration without an identity.
func (c *Cluster) AnonymousConfig() *rest.Config {
	return &rest.Config{
		Host:            "https://" + net.JoinHostPort(cmp.Or(c.address, loopback), strconv.Itoa(c.port)),
		TLSClientConfig: rest.TLSClientConfig{CAData: c.keys.cluster.CertPEM},
		// No rate limit of the client. API Priority and Fairness of kube-apiserver is sufficient.
		QPS: -1,
	}
}

func (c *Cluster) certificateConfig(pair KeyPair) *rest.Config {
	config := c.AnonymousConfig()
	config.CertData, config.KeyData = pair.CertPEM, pair.KeyPEM
	return config
}

// ServiceAccountConfig returns a client configuration with a new token of a ServiceAccount. It waits until the account
// exists.
func (c *Cluster) ServiceAccountConfig(ctx context.Context, namespace, name string) (*rest.Config, error) {
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return nil, fmt.Errorf("create a client: %w", err)
	}
	seconds := int64(tokenSeconds)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	what := fmt.Sprintf("get a token of service account %s/%s", namespace, name)
	var token string
	err = Poll(ctx, accountTimeout, what, func(ctx context.Context) error {
		answer, err := client.CoreV1().ServiceAccounts(namespace).
			CreateToken(ctx, name, request, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		token = answer.Status.Token
		return nil
	})
	if err != nil {
		return nil, err
	}
	config := c.AnonymousConfig()
	config.BearerToken = token
	return config, nil
}

// ClusterCA returns the CA of kube-apiserver's serving certificate and of the client certificates of users.
func (c *Cluster) ClusterCA() KeyPair { return c.keys.cluster }

// RequestHeaderCA returns the CA of the aggregation layer's client certificate (--requestheader-client-ca-file).
func (c *Cluster) RequestHeaderCA() KeyPair { return c.keys.frontProxy }

// FrontProxyCert returns the client certificate of the aggregation layer.
func (c *Cluster) FrontProxyCert() KeyPair { return c.keys.frontProxyClient }
