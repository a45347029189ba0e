// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const testTimeout = 30 * time.Second

// TestCluster runs all checks with one control plane, because the start takes seconds.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("-short was given, and this starts a control plane")
	}
	cluster, err := Start(t.Context(), Options{Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			_ = cluster.Stop()
		}
	}()

	t.Run("Controllers", func(t *testing.T) { checkControllers(t, cluster) })
	t.Run("Identities", func(t *testing.T) { checkIdentities(t, cluster) })
	t.Run("FrontProxy", func(t *testing.T) { checkFrontProxy(t, cluster) })
	t.Run("AuthenticationConfigMap", func(t *testing.T) { checkAuthenticationConfigMap(t, cluster) })
	t.Run("Apply", func(t *testing.T) { checkApply(t, cluster) })
	t.Run("KubeVision", func(t *testing.T) { checkKubeVision(t, cluster) })
	t.Run("Kubelet", func(t *testing.T) { checkKubelet(t, cluster) })
	t.Run("RemoveNodes", func(t *testing.T) { checkRemoveNodes(t, cluster) })
	t.Run("UnexpectedExit", func(t *testing.T) { checkUnexpectedExit(t, cluster) })

	pids := processIDs(t, cluster)
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	stopped = true
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d after Stop: %v, want %v", pid, err, syscall.ESRCH)
		}
	}
	if _, err := os.Stat(cluster.Dir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("temporary folder after Stop: %v, want %v", err, os.ErrNotExist)
	}
	if err := cluster.Stop(); err != nil {
		t.Errorf("second Stop: %v", err)
	}
}

func processIDs(t *testing.T, cluster *Cluster) []int {
	t.Helper()
	var pids []int
	for _, program := range cluster.programs {
		if pid := program.PID(); pid != 0 {
			pids = append(pids, pid)
		}
	}
	const want = 4 // includes the kubelet of checkKubelet
	if len(pids) != want {
		t.Fatalf("%d processes run, want %d", len(pids), want)
	}
	return pids
}

func clientFor(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func newNamespace(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, check func(context.Context) error) {
	t.Helper()
	if err := Poll(t.Context(), testTimeout, what, check); err != nil {
		t.Fatal(err)
	}
}

func checkControllers(t *testing.T, cluster *Cluster) {
	client := clientFor(t, cluster.Config())
	newNamespace(t, client, "controllers")
	eventually(t, "default service account", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts("controllers").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	labels := map[string]string{"app": "web"}
	replicas := int32(2)
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web"}}},
			},
		},
	}
	if _, err := client.AppsV1().Deployments("controllers").
		Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pods := waitForPods(t, client, "controllers", int(replicas))
	if account := pods[0].Spec.ServiceAccountName; account != "default" {
		t.Errorf("service account of a pod is %q: the ServiceAccount admission plugin does not work", account)
	}

	background := metav1.DeletePropagationBackground
	err := client.AppsV1().Deployments("controllers").
		Delete(t.Context(), "web", metav1.DeleteOptions{PropagationPolicy: &background})
	if err != nil {
		t.Fatal(err)
	}
	waitForPods(t, client, "controllers", 0)
	if err := client.CoreV1().Namespaces().Delete(t.Context(), "controllers", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "end of the namespace", func(ctx context.Context) error {
		_, err := client.CoreV1().Namespaces().Get(ctx, "controllers", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("namespace is still there"), err)
	})
}

func waitForPods(t *testing.T, client kubernetes.Interface, namespace string, want int) []corev1.Pod {
	t.Helper()
	var found []corev1.Pod
	eventually(t, "pods", func(ctx context.Context) error {
		pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(pods.Items) != want {
			return errors.New("other number of pods")
		}
		found = pods.Items
		return nil
	})
	return found
}

func whoAmI(t *testing.T, config *rest.Config) authenticationv1.UserInfo {
	t.Helper()
	review, err := clientFor(t, config).AuthenticationV1().SelfSubjectReviews().
		Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.UserInfo
}

func checkIdentities(t *testing.T, cluster *Cluster) {
	userConfig, err := cluster.UserConfig("bob", "team-a", "team-b")
	if err != nil {
		t.Fatal(err)
	}
	user := whoAmI(t, userConfig)
	if user.Username != "bob" || !slices.Equal(user.Groups, []string{"team-a", "team-b", "system:authenticated"}) {
		t.Errorf("user is %+v", user)
	}
	_, err = clientFor(t, userConfig).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("a user without rights lists secrets: %v, want forbidden", err)
	}

	if admin := whoAmI(t, cluster.Config()); !slices.Contains(admin.Groups, "system:masters") {
		t.Errorf("admin is %+v", admin)
	}

	accountConfig, err := cluster.ServiceAccountConfig(t.Context(), "default", "default")
	if err != nil {
		t.Fatal(err)
	}
	if account := whoAmI(t, accountConfig); account.Username != "system:serviceaccount:default:default" {
		t.Errorf("service account is %+v", account)
	}
	if _, err := clientFor(t, cluster.AnonymousConfig()).Discovery().ServerVersion(); err != nil {
		t.Errorf("anonymous request for the version: %v", err)
	}
}

// checkFrontProxy verifies that kube-apiserver trusts the header X-Remote-User only if the client presents the client
// certificate of the aggregation layer.
func checkFrontProxy(t *testing.T, cluster *Cluster) {
	wrongName, err := cluster.RequestHeaderCA().IssueClient("someone-else")
	if err != nil {
		t.Fatal(err)
	}
	wrongAuthority, err := cluster.ClusterCA().IssueClient(FrontProxyName)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		cert KeyPair
		want string
	}{
		"right":           {cluster.FrontProxyCert(), "carol"},
		"wrong name":      {wrongName, ""},
		"wrong authority": {wrongAuthority, FrontProxyName},
	} {
		t.Run(name, func(t *testing.T) {
			config := cluster.certificateConfig(test.cert)
			config.Wrap(asUser("carol"))
			review, err := clientFor(t, config).AuthenticationV1().SelfSubjectReviews().
				Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
			if test.want == "" {
				if !apierrors.IsUnauthorized(err) {
					t.Fatalf("error is %v, want unauthorized", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := review.Status.UserInfo.Username; got != test.want {
				t.Errorf("user is %q, want %q", got, test.want)
			}
		})
	}
}

func checkAuthenticationConfigMap(t *testing.T, cluster *Cluster) {
	published, err := clientFor(t, cluster.Config()).CoreV1().ConfigMaps("kube-system").
		Get(t.Context(), "extension-apiserver-authentication", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"client-ca-file":                     string(cluster.ClusterCA().CertPEM),
		"requestheader-client-ca-file":       string(cluster.RequestHeaderCA().CertPEM),
		"requestheader-allowed-names":        `["front-proxy-client"]`,
		"requestheader-username-headers":     `["X-Remote-User"]`,
		"requestheader-uid-headers":          `["X-Remote-Uid"]`,
		"requestheader-group-headers":        `["X-Remote-Group"]`,
		"requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`,
	} {
		if got := published.Data[key]; strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

func checkUnexpectedExit(t *testing.T, cluster *Cluster) {
	victim := cluster.programs[2]
	if err := syscall.Kill(victim.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-cluster.Exits():
		if text := err.Error(); !strings.Contains(text, victim.Name()) || !strings.Contains(text, "killed") {
			t.Errorf("report is %q", text)
		}
	case <-time.After(testTimeout):
		t.Fatal("nothing was reported")
	}
	if err := victim.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}
