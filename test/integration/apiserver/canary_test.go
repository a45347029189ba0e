// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
	"github.com/kubevision-io/kubevision/test/environment"
)

// canaries returns the secrets of an actor, which must not appear in any output. The keys describe them.
func canaries(t *testing.T, a actor) map[string]string {
	t.Helper()
	secret := &corev1.Secret{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "kubevision-credentials-" + a.Name},
		secret); err != nil {
		t.Fatal(err)
	}
	hash := string(secret.Data["passwordHash"])
	if hash == "" {
		t.Fatal("there is no hash of the password")
	}
	signature := func(token string) string { return token[strings.LastIndex(token, ".")+1:] }
	keys := &corev1.Secret{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "kubevision-signing-keys"},
		keys); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{
		"password": a.Password, "access token": signature(a.AccessToken), "refresh token": signature(a.RefreshToken),
		"hash": hash[strings.LastIndex(hash, "$")+1:],
	}
	out["hash in base64"] = base64.StdEncoding.EncodeToString([]byte(hash))
	for name, key := range keys.Data {
		lines := strings.Split(string(key), "\n")
		out["signing key "+name] = lines[1][:40]
		out["signing key "+name+" in base64"] = base64.StdEncoding.EncodeToString(key)[:200]
	}
	return out
}

// useSecrets logs in as a test user, and sends requests that contain the password or the tokens of the user. It returns
// the user with the new tokens.
func useSecrets(t *testing.T, c *wire.Client, a actor) actor {
	t.Helper()
	a.Login = a.User.Login(t, c, wire.DirectPath)
	for _, path := range []string{me, clusterList, onHost + "/resources/secrets?namespace=" + system,
		onHost + "/resources/secrets/x", "/nothing"} {
		c.Call(t, wire.Request{Path: wire.DirectPath + path, Bearer: a.AccessToken})
		c.Call(t, wire.Request{Path: wire.GroupPath + path, Token: a.AccessToken})
	}
	c.Call(t, refresh(t, a.RefreshToken)).Want(t, wire.OK)
	wrong := fixture.LoginRequest(wire.DirectPath, "nobody", a.Password)
	c.Call(t, wrong).Want(t, wire.Unauthenticated)
	wrong.Body = `{"username":"` + a.Name + `","password":"` + a.Password + `"`
	c.Call(t, wrong).Want(t, wire.Invalid)
	wrong.Body = `{"username":"` + a.Name + `","passwort":"` + a.Password + `"}`
	c.Call(t, wrong).Want(t, wire.Invalid)
	// The user name and the password are exchanged.
	c.Call(t, fixture.LoginRequest(wire.DirectPath, a.Password, a.Name)).Want(t, wire.Unauthenticated)
	return a
}

// TestObjectsAndEventsKeepSecrets verifies that no Event, ConfigMap or KubeVision object contains a password, a token
// or a signing key.
func TestObjectsAndEventsKeepSecrets(t *testing.T) {
	a := useSecrets(t, direct(t), newActor(t, "admin"))
	secrets := canaries(t, a)
	for _, list := range []client.ObjectList{
		&kubevisionv1alpha1.KubeVisionUserList{}, &kubevisionv1alpha1.KubeVisionSessionList{},
		&kubevisionv1alpha1.KubeVisionRoleBindingList{},
		&kubevisionv1alpha1.KubeVisionClusterList{}, &corev1.EventList{}, &corev1.ConfigMapList{},
	} {
		if err := env.Client.List(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		for name, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("a %T holds the %s", list, name)
			}
		}
	}
}

// TestLogsKeepSecrets verifies that no log of KubeVision contains a password, a token or a signing key. The test covers
// the default verbosity and the highest verbosity.
func TestLogsKeepSecrets(t *testing.T) {
	t.Run("as installed", func(t *testing.T) {
		a := useSecrets(t, direct(t), newActor(t, "admin"))
		direct(t).Call(t, wire.Request{Path: wire.DirectPath + me + "?token=" + a.AccessToken}).Want(t,
			wire.Unauthenticated)
		for _, path := range []string{env.KubeVision.APIServer().LogFile(),
			env.KubeVision.ControllerManager().LogFile()} {
			wantNoSecrets(t, path, canaries(t, a))
		}
	})
	t.Run("-v=9", func(t *testing.T) {
		endpoint, log := startVerbose(t)
		client := at(t, endpoint)
		a := useSecrets(t, client, newActor(t, "admin"))
		wantNoSecrets(t, log, canaries(t, a))
	})
	t.Run("-v=9, a token in the address", func(t *testing.T) {
		endpoint, log := startVerbose(t)
		a := newActor(t, "")
		at(t, endpoint).Call(t, wire.Request{Path: wire.DirectPath + me + "?token=" + a.AccessToken}).Want(t,
			wire.Unauthenticated)
		all := canaries(t, a)
		wantNoSecrets(t, log, map[string]string{"access token": all["access token"]})
	})
	t.Run("-v=9, the controllers", func(t *testing.T) {
		program := env.KubeVision.ControllerManager()
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
			defer cancel()
			if err := program.RestartWith(ctx); err != nil {
				t.Error(err)
			}
		})
		if err := program.RestartWith(t.Context(), "-v=9"); err != nil {
			t.Fatal(err)
		}
		a := newActor(t, "admin")
		all := canaries(t, a)
		for name, more := range map[string]string{
			"a valid kubeconfig": "", "a kubeconfig with a program": "    exec: {command: x}",
		} {
			token := "canary-" + fixture.Name("token")
			all["token of "+name] = token
			tried(t, kubeconfigWith(token, more))
		}
		wantNoSecrets(t, program.LogFile(), all)
	})
}

// tried registers a cluster by a kubeconfig in a Secret, and waits until the controllers have tried to reach it.
func tried(t *testing.T, kubeconfig string) {
	t.Helper()
	name := fixture.Name("member")
	set().Create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name},
		StringData: map[string]string{"kubeconfig": strings.Replace(kubeconfig, "kube.example:6443", "127.0.0.1:1", 1)},
	})
	c := &kubevisionv1alpha1.KubeVisionCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: kubevisionv1alpha1.KubeVisionClusterSpec{
			KubeconfigSecretRef: &kubevisionv1alpha1.SecretKeyReference{Name: name},
		},
	}
	set().Create(t, c)
	fixture.Eventually(t, "wait for the status of a cluster", func(ctx context.Context) error {
		err := env.Client.Get(ctx, client.ObjectKeyFromObject(c), c)
		if err == nil && c.Status.ObservedGeneration == 0 {
			err = errors.New("there is none")
		}
		return err //nolint:wrapcheck // it has the request
	})
}

func startVerbose(t *testing.T) (endpoint, log string) {
	t.Helper()
	process := fmt.Sprintf("/proc/%d", env.KubeVision.APIServer().PID())
	commandLine, err := os.ReadFile(filepath.Join(process, "cmdline"))
	if err != nil {
		t.Skipf("the command line of another process can be read on Linux only: %v", err)
	}
	port, err := localcluster.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	args := strings.Split(strings.TrimSuffix(string(commandLine), "\x00"), "\x00")
	program := args[0]
	args = slices.DeleteFunc(args[1:], func(arg string) bool { return strings.HasPrefix(arg, "--secure-port=") })
	args = append(args, "--secure-port="+strconv.Itoa(port), "-v=9")
	// The log is kept with the other logs if a test fails.
	log = filepath.Join(env.Cluster.Dir(), "logs", fixture.Name("verbose")+".log")
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = file.Close()
	})
	endpoint = "https://localhost:" + strconv.Itoa(port)
	becomes(t, at(t, endpoint), wire.Unauthenticated, wire.Request{Path: wire.DirectPath + me})
	ready := fixture.LoginRequest(wire.DirectPath, "nobody", "wrong")
	becomes(t, at(t, endpoint), wire.Unauthenticated, ready)
	return endpoint, log
}

var (
	// dumpLine matches a line of a hexadecimal dump, in which client-go logs binary bodies.
	dumpLine = regexp.MustCompile(`[0-9a-f]{8} {2}(?:[0-9a-f]{2} +){1,16}\|([^\n]{1,16})\|`)
)

// wantNoSecrets fails the test if a log file contains one of the secrets, any signed token or any private key. It also
// finds a secret in a hexadecimal dump of an HTTP body.
func wantNoSecrets(t *testing.T, logFile string, secrets map[string]string) {
	t.Helper()
	text, err := os.ReadFile(logFile)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) == 0 {
		t.Fatalf("%s is empty", logFile)
	}
	var dumped bytes.Buffer
	for _, match := range dumpLine.FindAllSubmatch(text, -1) {
		dumped.Write(match[1])
	}
	if line := environment.FindCredential(text); line != "" {
		t.Errorf("%s contains a credential: %s", filepath.Base(logFile), line)
	}
	for name, secret := range secrets {
		switch at := bytes.Index(text, []byte(secret)); {
		case at >= 0:
			line := text[bytes.LastIndexByte(text[:at], '\n')+1:]
			t.Errorf("%s holds the %s: %.160s...", filepath.Base(logFile), name, line)
		case bytes.Contains(dumped.Bytes(), []byte(secret)):
			t.Errorf("%s holds the %s in the dump of a body", filepath.Base(logFile), name)
		}
	}
}
