// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// expiredSessions is the number of sessions with an expired access token that the tests in TypeScript need.
const expiredSessions = 3

// TestTypeScriptClient verifies that clients/typescript compiles and that its tests succeed against the server,
// directly and through kube-apiserver.
func TestTypeScriptClient(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("npm is not installed")
	}
	root, err := localcluster.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	compile := exec.CommandContext(t.Context(), filepath.Join(root, "hack", "npm.sh"), "run", "compile")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("compiling the client: %v\n%s", err, out)
	}
	tests := filepath.Join(root, "clients", "typescript", "build", "test", "server", "server.test.js")
	s := target.set()
	s.HostCluster(t, target.Host)
	defer target.forgive(t) // clears the wrong passwords
	for name, door := range map[string]struct {
		client *wire.Client
		base   string
	}{
		"direct":         {target.direct(t), wire.DirectPath},
		"kube-apiserver": {target.as(t, fixture.Name("conformance-kube-porter")), wire.GroupPath},
	} {
		t.Run(name, func(t *testing.T) {
			namespace, u := s.Namespace(t, "conformance-typescript"), s.User(t, "conformance-typescript")
			s.Bind(t, "conformance-typescript", fixture.Grant{
				Role: "admin", Subjects: fixture.KubeVisionUsers(u), Cluster: target.Host,
			})
			made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("conformance-typescript")}}
			s.Later(t, made)
			sessions, err := json.Marshal(expired(t, s, u))
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=spec", tests)
			cmd.Env = append(os.Environ(), "BASE_URL="+door.client.Proxy(t)+door.base,
				"USERNAME="+u.Name, "PASSWORD="+u.Password, "SESSIONS="+string(sessions),
				"CLUSTER="+target.Host, "NAMESPACE="+namespace, "MADE_NAMESPACE="+made.Name)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// expired returns active sessions with expired access tokens.
func expired(t *testing.T, s fixture.Set, u fixture.User) []fixture.Login {
	t.Helper()
	out := make([]fixture.Login, expiredSessions)
	for i := range out {
		out[i] = u.Login(t, target.direct(t), wire.DirectPath)
		token := fixture.Take(t, out[i].AccessToken)
		out[i].AccessToken = token.Aged(time.Minute).Sign(t, s.SigningKey(t, token.Header["kid"]))
	}
	return out
}
