// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// shell runs the commands of a documentation page in the directory dir.
type shell struct{ dir string }

func newShell(tb testing.TB) shell {
	tb.Helper()
	if _, err := exec.LookPath("jq"); err != nil {
		tb.Skip("the page needs jq")
	}
	root, err := localcluster.ModuleRoot()
	if err != nil {
		tb.Fatal(err)
	}
	s := shell{dir: tb.TempDir()}
	if err := os.Symlink(filepath.Join(root, "config"), filepath.Join(s.dir, "config")); err != nil {
		tb.Fatal(err)
	}
	return s
}

func (s shell) run(ctx context.Context, config *rest.Config, commands string) (string, error) {
	kubeconfig := filepath.Join(s.dir, "kubeconfig")
	if err := localcluster.WriteKubeconfig(config, kubeconfig); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(),
		"KUBECONFIG="+kubeconfig, "PATH="+filepath.Dir(env.Cluster.KubectlPath())+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return string(out), nil
}

func (s shell) must(tb testing.TB, config *rest.Config, commands string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	if _, err := s.run(ctx, config, commands); err != nil {
		tb.Fatalf("%s%v", commands, err)
	}
}

func codeBlocks(page string) []string {
	var out []string
	inside := false
	for line := range strings.Lines(page) {
		code, isBlock := strings.CutPrefix(line, "    ")
		switch {
		case isBlock && inside:
			out[len(out)-1] += code
		case isBlock:
			out = append(out, code)
		}
		inside = isBlock
	}
	return out
}

// backupCommands contains the commands in docs/backup.md that TestPageOnBackup runs. Each field is a code block.
type backupCommands struct{ save, install, create, start, look, restoreUser string }

func readBackupPage(tb testing.TB) backupCommands {
	tb.Helper()
	root, err := localcluster.ModuleRoot()
	if err != nil {
		tb.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "backup.md"))
	if err != nil {
		tb.Fatal(err)
	}
	blocks := codeBlocks(string(page))
	if len(blocks) != 8 || !strings.Contains(blocks[1], "--replicas=0") || !strings.Contains(blocks[7], "velero") {
		tb.Fatalf("the page has %d blocks", len(blocks))
	}
	return backupCommands{
		save: blocks[0], install: blocks[2], create: blocks[3], start: blocks[4], look: blocks[5],
		restoreUser: blocks[6],
	}
}

// createAlice registers a cluster, and creates the user alice with the data that a backup must keep, such as a favorite
// and a TOTP secret.
func createAlice(t *testing.T, member *plane) (u fixture.User, totpSecret string) {
	t.Helper()
	kubeconfig, err := localcluster.Kubeconfig(member.Config())
	if err != nil {
		t.Fatal(err)
	}
	secret := func(name, key, value string) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace, Name: name},
			Data:       map[string][]byte{key: []byte(value)},
		}
	}
	u = fixture.User{Name: "alice", Password: "pw-of-the-first-day"}
	set().Create(t, secret("alice-password", "password", u.Password))
	set().Create(t, secret("production-kubeconfig", "kubeconfig", string(kubeconfig)))
	reference := func(name string) *kubevisionv1alpha1.SecretKeyReference {
		return &kubevisionv1alpha1.SecretKeyReference{Name: name}
	}
	user := &kubevisionv1alpha1.KubeVisionUser{ObjectMeta: metav1.ObjectMeta{Name: u.Name}}
	user.Spec.PasswordSecretRef = reference("alice-password")
	set().Create(t, user)
	c := &kubevisionv1alpha1.KubeVisionCluster{ObjectMeta: metav1.ObjectMeta{Name: "production"}}
	c.Spec.KubeconfigSecretRef = reference("production-kubeconfig")
	if err := env.Client.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unregister(t, c) })
	ready(t, c)
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: u.Name}}
	b.Spec.Subjects = fixture.KubeVisionUsers(u)
	b.Spec.RoleRef.Name = kubevisionv1alpha1.RoleReadonly
	b.Spec.Clusters.Names = []string{c.Name}
	set().Create(t, b)

	wireClient := direct(t)
	token := u.Login(t, wireClient, wire.DirectPath).AccessToken
	const chosen = "a horse of her own choosing"
	wireClient.Call(t, wire.Request{
		Method: "PUT", Path: wire.DirectPath + "/users/me/password", Bearer: token,
		Body: `{"oldPassword":"` + u.Password + `","newPassword":"` + chosen + `"}`,
	}).Want(t, wire.OK)
	u.Password = chosen
	wireClient.Call(t, wire.Request{
		Method: "POST", Path: wire.DirectPath + "/favorites", Bearer: token,
		Body: `{"clusterId":"production","namespace":"shop","resourceType":"deployments","resourceName":"web"}`,
	}).Want(t, wire.OK)
	set().Create(t, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: fixture.SystemNamespace, Name: "house-style", Labels: map[string]string{names.TemplateLabel: ""},
		},
		Data: map[string]string{"resource": "pods", "manifest": "kind: Pod"},
	})
	return u, fixture.Enrol(t, wireClient, wire.DirectPath, token)
}

// TestPageOnBackup verifies that the commands in docs/backup.md restore KubeVision in a new host cluster. The user
// alice must keep her password, her second factor, her favorites and her rights on a registered cluster.
func TestPageOnBackup(t *testing.T) {
	member, in, page := theOther(t), newShell(t), readBackupPage(t)
	alice, totpSecret := createAlice(t, member)
	in.must(t, env.Cluster.Config(), page.save)
	if err := env.KubeVision.ControllerManager().Stop(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := env.KubeVision.ControllerManager().Start(ctx); err != nil {
			t.Error(err)
		}
	})

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	fresh, err := env.StartCluster(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fresh.Stop() })
	in.must(t, fresh.Config(), page.install)
	fixture.Eventually(t, "wait for the admission policies", func(ctx context.Context) error {
		_, err := in.run(ctx, fresh.Config(), "kubectl annotate namespace kubevision-system a=b --dry-run=server")
		return err
	})
	in.must(t, fresh.Config(), page.create)
	in.must(t, fresh.Config(), page.start)
	restored, err := env.Install(ctx, fresh)
	if err != nil {
		t.Fatal(err)
	}

	lookUp := func() {
		t.Helper()
		for entry := range strings.SplitSeq(strings.TrimPrefix(page.look, "$ "), "\n$ ") {
			command, want, _ := strings.Cut(entry, "\n")
			fixture.Eventually(t, command, func(ctx context.Context) error {
				got, err := in.run(ctx, fresh.Config(), command)
				if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(got)); err == nil && diff != "" {
					err = fmt.Errorf("(-want +got):\n%s", diff)
				}
				return err
			})
		}
	}
	lookUp()
	wireClient, err := wire.New(restored.Endpoint(), restored.CAPEM())
	if err != nil {
		t.Fatal(err)
	}
	var challenge struct {
		SessionToken string `json:"sessionToken"`
	}
	wireClient.Call(t, fixture.LoginRequest(wire.DirectPath, alice.Name, alice.Password)).
		Want(t, wire.TwoFactorRequired).Into(t, &challenge)
	var login fixture.Login
	wireClient.Call(t, wire.Request{
		Method: "POST", Path: wire.DirectPath + "/auth/2fa/verify",
		Body: `{"sessionToken":"` + challenge.SessionToken + `","code":"` + fixture.Code(t, totpSecret, 0) + `"}`,
	}).Want(t, wire.OK).Into(t, &login)
	for path, want := range map[string]string{"/favorites": `"resourceName":"web"`, "/templates": `"house-style"`} {
		fixture.Eventually(t, "find what was restored in "+path, func(context.Context) error {
			e := wireClient.Call(t, wire.Request{Path: wire.DirectPath + path, Bearer: login.AccessToken}).Want(t,
				wire.OK)
			if !strings.Contains(string(e.Data), want) {
				return fmt.Errorf("got %s", e.Data)
			}
			return nil
		})
	}
	fixture.Eventually(t, "read the pods of the member", func(ctx context.Context) error {
		return wireClient.Answers(ctx, wire.OK, wire.Request{
			Path: wire.DirectPath + "/clusters/production/resources/pods", Bearer: login.AccessToken,
		})
	})
	if _, err := in.run(ctx, fresh.Config(), "kubectl get kvu admin -o jsonpath={.metadata.uid}"); err != nil {
		t.Errorf("the first user does not exist: %v", err)
	}

	in.must(t, fresh.Config(), "kubectl delete kvu alice")
	// The password Secret still exists. Therefore, the command that creates the Secrets returns an error.
	in.must(t, fresh.Config(), "set +e\n"+page.restoreUser)
	lookUp()
}
