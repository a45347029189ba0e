// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

var (
	installationURL = flag.String("url", "",
		"the `address` of kubevision-apiserver of the installation to test; without it, one is started")
	installationCA = flag.String("ca", "",
		"the `file` with the authority of its certificate; by default that of its Secret")
	installationAs = flag.String("admin-kubeconfig", "",
		"the `file` with an administrator's kubeconfig of its cluster; by default $KUBECONFIG")
)

const (
	// ownPrefix is the prefix of the names of all objects that the tests of this package create.
	ownPrefix      = "conformance-"
	connectTimeout = time.Minute
	removeTimeout  = 2 * time.Minute
)

// runForeign runs the tests against an existing installation, and returns the exit code. It fails if objects of the
// tests remain in the installation.
func runForeign(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	found, err := connect(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 1
	}
	target = *found
	code := m.Run()
	if err := target.cleanUp(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return max(code, 1)
	}
	return code
}

func connect(ctx context.Context) (*Target, error) {
	config, err := adminConfig()
	if err != nil {
		return nil, err
	}
	t := &Target{DirectURL: *installationURL, Kubernetes: impersonating(config)}
	if t.Admin, err = adminClient(config); err != nil {
		return nil, err
	}
	if t.Programs, err = adminClient(localcluster.KubeVisionConfig(config)); err != nil {
		return nil, err
	}
	if t.DirectCA, err = authority(ctx, t.Admin); err != nil {
		return nil, err
	}
	if t.Host, err = hostName(ctx, t.Admin); err != nil {
		return nil, err
	}
	if t.older, err = failedLogins(ctx, t.Admin); err != nil {
		return nil, err
	}
	anonymous := rest.AnonymousClientConfig(config)
	c, err := wire.ForConfig(anonymous)
	if err != nil {
		return nil, err
	}
	if reaches(c)(ctx) == nil {
		t.Anonymous = anonymous
	}
	return t, nil
}

func adminConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = *installationAs
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the administrator's kubeconfig: %w", err)
	}
	config.QPS = -1 // priority and fairness of the server are sufficient
	return config, nil
}

func adminClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), kubevisionv1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("building a scheme: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	return c, nil
}

func impersonating(admin *rest.Config) func(string, ...string) (*rest.Config, error) {
	return func(user string, groups ...string) (*rest.Config, error) {
		config := rest.CopyConfig(admin)
		config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
		return config, nil
	}
}

func authority(ctx context.Context, admin client.Client) ([]byte, error) {
	if *installationCA != "" {
		text, err := os.ReadFile(*installationCA)
		if err != nil {
			return nil, fmt.Errorf("reading the authority: %w", err)
		}
		return text, nil
	}
	secret := &corev1.Secret{}
	if err := admin.Get(ctx, client.ObjectKey{Namespace: fixture.SystemNamespace, Name: "kubevision-apiserver-tls"},
		secret); err != nil {
		return nil, fmt.Errorf("reading the server's certificate: %w", err)
	}
	return secret.Data["ca.crt"], nil
}

// hostName returns the name of the KubeVisionCluster that registers the host cluster. If there is none, hostName
// returns a name for the KubeVisionCluster that the tests create.
func hostName(ctx context.Context, admin client.Client) (string, error) {
	var all kubevisionv1alpha1.KubeVisionClusterList
	if err := admin.List(ctx, &all); err != nil {
		return "", fmt.Errorf("listing clusters: %w", err)
	}
	if host := clusters.HostRegistration(all.Items); host != nil {
		return host.Name, nil
	}
	return fixture.Name(ownPrefix + "host"), nil
}

// failedLogins returns the time of the last failed login of each KubeVisionLoginThrottle. The key is the UID of the
// KubeVisionLoginThrottle. failedLogins returns an error if logins from an IP address are blocked, because the tests
// may use this address.
func failedLogins(ctx context.Context, admin client.Client) (map[types.UID]metav1.MicroTime, error) {
	var all kubevisionv1alpha1.KubeVisionLoginThrottleList
	if err := admin.List(ctx, &all); err != nil {
		return nil, fmt.Errorf("listing login throttles: %w", err)
	}
	out := map[types.UID]metav1.MicroTime{}
	for i := range all.Items {
		throttle := &all.Items[i]
		until := throttle.Spec.BlockedUntil
		if throttle.Spec.Target == kubevisionv1alpha1.ThrottleAddress && until != nil && until.After(time.Now()) {
			return nil, fmt.Errorf("logins from an address wait until %s, perhaps those of the tests; end it with: "+
				"kubectl delete kubevisionloginthrottle %s",
				until.UTC().Format(time.RFC3339), throttle.Name)
		}
		out[throttle.UID] = throttle.Spec.LastFailureTime
	}
	return out, nil
}

func (target Target) cleanUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), removeTimeout)
	defer cancel()
	if strings.HasPrefix(target.Host, ownPrefix) {
		host := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: target.Host}}
		if err := client.IgnoreNotFound(target.Admin.Delete(ctx, host)); err != nil {
			return fmt.Errorf("removing the registration of the host: %w", err)
		}
	}
	if err := target.forgiveAll(ctx); err != nil {
		return err
	}
	return localcluster.Poll(ctx, removeTimeout, "wait until no object of the tests is left", target.nothingLeft)
}

func (target Target) nothingLeft(ctx context.Context) error {
	lists := []client.ObjectList{
		&kubevisionv1alpha1.KubeVisionUserList{}, &kubevisionv1alpha1.KubeVisionClusterList{},
		&kubevisionv1alpha1.KubeVisionRoleBindingList{},
		&kubevisionv1alpha1.KubeVisionSessionList{}, &kubevisionv1alpha1.KubeVisionLoginThrottleList{},
		&admissionregistrationv1.ValidatingAdmissionPolicyList{},
		&admissionregistrationv1.ValidatingAdmissionPolicyBindingList{},
		&corev1.NamespaceList{}, &corev1.SecretList{}, &rbacv1.ClusterRoleList{}, &rbacv1.ClusterRoleBindingList{},
		&rbacv1.RoleBindingList{},
	}
	var left []string
	for _, list := range lists {
		if err := target.Admin.List(ctx, list); err != nil {
			return fmt.Errorf("listing: %w", err)
		}
		items, err := ofTheTests(list)
		if err != nil {
			return err
		}
		left = append(left, items...)
	}
	if len(left) > 0 {
		return fmt.Errorf("left: %s", strings.Join(left, ", "))
	}
	return nil
}

// ofTheTests returns the types and names of the listed objects that belong to the tests. A session or a login throttle
// belongs to the tests if its user does.
func ofTheTests(list client.ObjectList) ([]string, error) {
	var out []string
	err := meta.EachListItem(list, func(item runtime.Object) error {
		object, ok := item.(client.Object)
		if !ok {
			return fmt.Errorf("an item of %T is a %T", list, item)
		}
		made := object.GetName()
		switch special := object.(type) {
		case *kubevisionv1alpha1.KubeVisionSession:
			made = special.Spec.UserName
		case *kubevisionv1alpha1.KubeVisionLoginThrottle:
			made = special.Spec.UserName
		}
		if strings.Contains(made, ownPrefix) {
			out = append(out, fmt.Sprintf("%T %s", object, object.GetName()))
		}
		return nil
	})
	return out, err
}
