// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusterregistration

import (
	"errors"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters/kubeconfig"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	longestName = 63
	// field is the request field that contains a kubeconfig, and the default key of the kubeconfig in a Secret.
	field = "kubeconfig"
)

// create creates a KubeVisionCluster and, if necessary, a Secret with its kubeconfig. If one of the two cannot be
// created, it creates neither.
func (e *Provider) create(r *routes.Request, a *hostobjects.Client) (routes.Result, error) {
	var body dashboardv1alpha1.CreateClusterRequest
	if err := r.ReadJSON(&body); err != nil {
		return routes.Result{}, err
	}
	if err := e.checkNew(&body); err != nil {
		return routes.Result{}, err
	}
	c := &kubevisionv1alpha1.KubeVisionCluster{}
	steps := []hostobjects.Step{hostobjects.Create("cluster "+body.Name, func() client.Object {
		*c = *newCluster(&body)
		return c
	}, a.WriteErrorFor(hostobjects.Action("create", kubevisionv1alpha1.ResourceClusters, "")))}
	if body.AuthType == dashboardv1alpha1.AuthTypeKubeconfig {
		name := secretName(body.Name)
		steps = append(steps, hostobjects.Create("Secret "+name, func() client.Object {
			return newSecret(c, name, field, body.Kubeconfig)
		}, a.WriteErrorFor(hostobjects.SecretAction("create", name))))
	}
	if err := a.Apply(r.Context(), steps...); err != nil {
		return routes.Result{}, err
	}
	return routes.Result{Data: describe(c, true)}, nil
}

func (e *Provider) checkNew(body *dashboardv1alpha1.CreateClusterRequest) error {
	if err := routes.CheckSubdomain("name", body.Name); err != nil {
		return err
	}
	switch {
	case len(body.Name) > longestName:
		return envelope.Invalid("name", "name: must be no more than %d characters", longestName)
	case body.AuthType == "":
		return envelope.Required("authType")
	case body.AuthType == dashboardv1alpha1.AuthTypeInCluster && body.Kubeconfig != "":
		return envelope.Invalid(field, "the host cluster needs no kubeconfig")
	case body.AuthType == dashboardv1alpha1.AuthTypeInCluster:
		return nil
	case body.AuthType == dashboardv1alpha1.AuthTypeKubeconfig:
		return e.checkKubeconfig(body.Kubeconfig)
	default:
		return envelope.Invalid("authType", "authType must be %s or %s", dashboardv1alpha1.AuthTypeKubeconfig,
			dashboardv1alpha1.AuthTypeInCluster)
	}
}

// checkKubeconfig returns an error in these cases:
//   - The kubeconfig is empty or malformed, or has unsupported fields.
//   - The credentials in the kubeconfig have expired.
//   - Policy does not allow the address of the server.
//
// The error does not contain values of the kubeconfig.
func (e *Provider) checkKubeconfig(text string) error {
	if text == "" {
		return envelope.Required(field)
	}
	k, err := kubeconfig.Parse([]byte(text))
	if err != nil {
		return envelope.Invalid(field, "%s", err.Error()).WithCause(errors.New("kubeconfig refused"))
	}
	if err := k.CheckExpiry(time.Now()); err != nil {
		return envelope.Invalid(field, "%s", err.Error())
	}
	server, err := url.Parse(k.Server)
	if err == nil {
		err = e.Policy.CheckServer(server.Host)
	}
	if err != nil {
		return envelope.Invalid(field,
			"clusters[].cluster.server is at an address that KubeVision may not connect to; "+
				"an operator can allow it with --cluster-addresses-allowed").WithCause(err)
	}
	return nil
}

func secretName(cluster string) string { return cluster + "-kubeconfig" }

func newCluster(body *dashboardv1alpha1.CreateClusterRequest) *kubevisionv1alpha1.KubeVisionCluster {
	c := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: body.Name, Labels: body.Labels},
		Spec:       kubevisionv1alpha1.KubeVisionClusterSpec{DisplayName: body.DisplayName, InCluster: true},
	}
	if body.AuthType == dashboardv1alpha1.AuthTypeKubeconfig {
		c.Spec.InCluster = false
		c.Spec.KubeconfigSecretRef = &kubevisionv1alpha1.SecretKeyReference{Name: secretName(body.Name)}
	}
	return c
}

// newSecret returns a Secret with one key, whose value is text. The owner reference to c makes Kubernetes delete the
// Secret together with c.
func newSecret(c *kubevisionv1alpha1.KubeVisionCluster, name, key, text string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: names.Namespace, Name: name,
			OwnerReferences: kubevisionv1alpha1.OwnerReferences(kubevisionv1alpha1.KindCluster, c),
		},
		Data: map[string][]byte{key: []byte(text)},
	}
}
