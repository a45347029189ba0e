// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"regexp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

// ErrNoAPIServer is returned if a successful response does not come from the API server of a Kubernetes cluster.
var ErrNoAPIServer = errors.New("the server does not respond like the API server of a Kubernetes cluster")

var (
	versionPattern = regexp.MustCompile(`^v\d+\.\d+[0-9A-Za-z.+-]{0,100}$`)
	uidPattern     = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)
)

// ServerVersion reads the version of a cluster, for example v1.34.1. It returns ErrNoAPIServer if the response contains
// no version of Kubernetes.
func ServerVersion(ctx context.Context, client discovery.ServerVersionInterfaceWithContext) (string, error) {
	found, err := client.ServerVersionWithContext(ctx)
	if err != nil {
		return "", response.Error(ctx, err)
	}
	if !versionPattern.MatchString(found.GitVersion) {
		return "", ErrNoAPIServer
	}
	return found.GitVersion, nil
}

// ID returns the identity of a cluster, which is the UID of its namespace kube-system. The argument is the object that
// the server has sent as this namespace. If the object has another name or an invalid UID, the server is not the API
// server of a Kubernetes cluster, and ID returns ErrNoAPIServer.
func ID(system metav1.Object) (string, error) {
	if system.GetName() != metav1.NamespaceSystem || !uidPattern.MatchString(string(system.GetUID())) {
		return "", ErrNoAPIServer
	}
	return string(system.GetUID()), nil
}
