// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package clusterregistration serves KubeVisionClusters, which are the registrations of clusters. It lists, creates,
// changes, deletes and tests them.
package clusterregistration

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const paramCluster = authorization.ClusterParameter

// Provider provides the endpoints of this package.
type Provider struct {
	// Reader reads KubeVision's custom resources.
	Reader client.Reader
	// Host is the host cluster, which stores the registrations.
	Host *hostobjects.Host
	// Examine tests the connection to the cluster with the given name.
	Examine func(ctx context.Context, name string) (clusters.Examination, error)
	// Policy restricts the addresses of the API servers of registered clusters.
	Policy addresspolicy.Policy
}

// Routes implements routes.Provider.
func (e *Provider) Routes() []routes.Route {
	return []routes.Route{
		{
			Method: http.MethodGet, Path: "/clusters", Operation: "listClusters",
			Doc: "list the clusters that the caller may use", Returns: dashboardv1alpha1.ClusterListEnvelope{},
			Endpoint: routes.Reviewed(e.visible, list),
		},
		{
			Method: http.MethodPost, Path: "/clusters", Operation: "createCluster",
			Doc:   "register a cluster; no response contains its kubeconfig",
			Reads: dashboardv1alpha1.CreateClusterRequest{}, Returns: dashboardv1alpha1.ClusterEnvelope{},
			Endpoint: routes.AsCaller(e.Host.Connect, e.create),
		},
		{
			Method: http.MethodGet, Path: "/clusters/{cluster}", Operation: "getCluster",
			Doc: "show a cluster that the caller may use", Returns: dashboardv1alpha1.ClusterEnvelope{},
			Endpoint: routes.Reviewed(e.review, e.show),
		},
		{
			Method: http.MethodPut, Path: "/clusters/{cluster}", Operation: "updateCluster",
			Doc:   "change a registration, or replace its kubeconfig; absent fields are not changed",
			Reads: dashboardv1alpha1.UpdateClusterRequest{}, Returns: dashboardv1alpha1.ClusterEnvelope{},
			Endpoint: routes.AsCaller(e.connect, e.update),
		},
		{
			Method: http.MethodDelete, Path: "/clusters/{cluster}", Operation: "deleteCluster",
			Doc: "delete a registration and its kubeconfig", Returns: dashboardv1alpha1.Envelope{},
			Endpoint: routes.AsCaller(e.connect, e.remove),
		},
		{
			Method: http.MethodPost, Path: "/clusters/{cluster}/test", Operation: "testCluster",
			Doc: "test the connection to a cluster", Returns: dashboardv1alpha1.ClusterTestEnvelope{},
			Endpoint: routes.Reviewed(e.review, e.test),
		},
	}
}

// view is the result of a successful access review of one cluster.
type view struct {
	// withDetails is true if the caller may read the KubeVisionCluster, and therefore sees all its fields.
	withDetails bool
}

// review determines what u may see of the cluster in the path. The user must have the right to use the cluster, or to
// read its KubeVisionCluster. Otherwise, review returns an error that does not show whether the cluster exists.
func (e *Provider) review(r *routes.Request, u user.Info) (*view, error) {
	name := r.Path(paramCluster)
	if err := routes.CheckSubdomain(paramCluster, name); err != nil {
		return nil, err
	}
	withDetails, err := e.Host.Reviewer.MayGetCluster(r.Context(), u, name)
	if err != nil {
		return nil, authorization.NewReviewFailed(err)
	}
	if !withDetails {
		if err := e.Host.Reviewer.CheckUse(r.Context(), u, name); err != nil {
			return nil, err
		}
	}
	return &view{withDetails: withDetails}, nil
}

// connect returns a client that accesses KubeVisionClusters on the host cluster with the rights of u. The user must
// have the right to use the cluster in the path, or to read its KubeVisionCluster. Otherwise, connect returns an error.
func (e *Provider) connect(r *routes.Request, u user.Info) (*hostobjects.Client, error) {
	if _, err := e.review(r, u); err != nil {
		return nil, err
	}
	return e.Host.Connect(r, u)
}

func (e *Provider) show(r *routes.Request, v *view) (routes.Result, error) {
	c := &kubevisionv1alpha1.KubeVisionCluster{}
	err := e.Reader.Get(r.Context(), types.NamespacedName{Name: r.Path(paramCluster)}, c)
	switch {
	case apierrors.IsNotFound(err):
		return routes.Result{}, authorization.NewClusterNotFound(r.Path(paramCluster))
	case err != nil:
		return routes.Result{}, fmt.Errorf("reading the cluster: %w", err)
	default:
		return routes.Result{Data: describe(c, v.withDetails)}, nil
	}
}

// test tests the connection to a cluster. If the test fails, the reason is part of the result, and test returns no
// error.
func (e *Provider) test(r *routes.Request, _ *view) (routes.Result, error) {
	name := r.Path(paramCluster)
	found, err := e.Examine(r.Context(), name)
	if errors.Is(err, clusters.ErrNotRegistered) {
		return routes.Result{}, authorization.NewClusterNotFound(name)
	}
	if err != nil {
		return routes.Result{}, err
	}
	return routes.Result{Data: dashboardv1alpha1.ClusterTest{
		Reachable: found.Reachable, CredentialsValid: found.CredentialsValid,
		ImpersonationReady: found.ImpersonationReady,
		Version:            found.Version, Message: found.Message,
	}}, nil
}

func find(ctx context.Context, a *hostobjects.Client, name string) (*kubevisionv1alpha1.KubeVisionCluster, error) {
	c := &kubevisionv1alpha1.KubeVisionCluster{}
	err := a.Find(ctx, name, c, authorization.NewClusterNotFound(name))
	return c, err
}

// remove deletes the KubeVisionCluster in the path. If KubeVision has created the Secret with the kubeconfig, the
// Secret has an owner reference to the KubeVisionCluster, and the garbage collector deletes it, too. Other Secrets
// remain.
func (e *Provider) remove(r *routes.Request, a *hostobjects.Client) (routes.Result, error) {
	c := &kubevisionv1alpha1.KubeVisionCluster{}
	c.Name = r.Path(paramCluster)
	err := a.Delete(r.Context(), c)
	if apierrors.IsNotFound(err) {
		return routes.Result{}, authorization.NewClusterNotFound(c.Name).WithCause(err)
	}
	return routes.Result{}, a.WriteError(r.Context(), err,
		hostobjects.Action("delete", kubevisionv1alpha1.ResourceClusters, c.Name))
}
