// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	// probeInterval is the time between two checks of the readiness of a replica.
	probeInterval = 5 * time.Second
	// unreachableTimeout is the maximum duration of a request while kube-apiserver does not run.
	unreachableTimeout = 2 * time.Second
	// recoveryTimeout is the maximum time for which requests fail after kube-apiserver or etcd runs again.
	recoveryTimeout = 5 * time.Second
	// takeoverTimeout is the maximum time until another replica of the controllers is active.
	takeoverTimeout = 5 * time.Second
	// slack is added to time limits, because the machine may be busy.
	slack = time.Second
)

// testUpgrade upgrades the installation under load. The programs of both versions run concurrently for some time.
func testUpgrade(t *testing.T) {
	l := newLoad(t)
	r := l.during(t, func() { installManifests(t, newVersion) })
	r.print(t)
	r.wantNone(t)
	for _, name := range []string{apiserver, controllerManager} {
		image := world.host.must(t, "-n", namespace, "get", "deployment", name,
			"-o", "jsonpath={.spec.template.spec.containers[0].image}")
		if image != repository+":"+newVersion {
			t.Errorf("%s runs %s", name, image)
		}
	}
}

// testSkew verifies that KubeVision works while one of the programs still has the previous version, as during an
// interrupted upgrade. The other program and the CustomResourceDefinitions have the current version.
func testSkew(t *testing.T) {
	for _, program := range []string{controllerManager, apiserver} {
		t.Run("previous "+program, func(t *testing.T) {
			for _, version := range []string{oldVersion, newVersion} {
				applyDeployment(t, version, program)
				awaitInstallation(t)
				checkUse(t)
			}
		})
	}
}

func applyDeployment(t *testing.T, version, program string) {
	t.Helper()
	text, err := os.ReadFile(world.release(version, "install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		if !strings.Contains(document, "kind: Deployment\n") || !strings.Contains(document, "\n  name: "+program+"\n") {
			continue
		}
		file := filepath.Join(t.TempDir(), "deployment.yaml")
		if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
		world.host.must(t, "apply", "--server-side", "--force-conflicts", "-f", file)
		return
	}
	t.Fatalf("install.yaml of %s has no Deployment %s", version, program)
}

func testDisturbances(t *testing.T) {
	l := newLoad(t)
	var signs string
	for _, d := range []struct {
		name    string
		disturb func(*testing.T)
	}{
		{"signing key rotated", func(t *testing.T) { signs = rotateSigningKey(t) }}, // it signs a minute later
		{"pod deleted", func(t *testing.T) {
			world.host.must(t, "-n", namespace, "delete", "pod", podOf(t, apiserver), "--wait=true")
			awaitRollout(t, apiserver)
		}},
		{"roll-out", func(t *testing.T) {
			world.host.must(t, "-n", namespace, "rollout", "restart", "deployment/"+apiserver)
			awaitRollout(t, apiserver)
		}},
		{"drain", drain},
		{"controller manager killed", killControllerManager},
		{"certificate rotated", rotateCertificate},
	} {
		t.Run(d.name, func(t *testing.T) {
			r := l.during(t, func() { d.disturb(t) })
			r.print(t)
			r.wantNone(t)
		})
	}
	p := newPerson(t, doors(t)[0], "readonly")
	eventually(t, "sign with the new key", func(context.Context) error {
		token := p.User.Login(t, p.client, p.base).AccessToken
		if got := fixture.Take(t, token).Header["kid"]; fmt.Sprintf("%s.pem", got) != signs {
			time.Sleep(time.Second)
			return fmt.Errorf("the key %v signs, not %s", got, signs)
		}
		return nil
	})
	t.Run("replica killed", func(t *testing.T) { replicaKilled(t, l) })
	t.Run("etcd stopped", func(t *testing.T) { etcdStopped(t, l) })
	t.Run("kube-apiserver killed", func(t *testing.T) { apiServerKilled(t, l) })
}

func (r report) wantNone(t *testing.T) {
	t.Helper()
	if len(r.failures) > 0 {
		t.Errorf("%d of %d requests failed", len(r.failures), r.sent)
	}
}

func podOf(t *testing.T, deployment string) string {
	t.Helper()
	names := strings.Fields(world.host.must(t, "-n", namespace, "get", "pods", "--field-selector=status.phase=Running",
		"-l", "app.kubernetes.io/name="+deployment, "-o", "jsonpath={.items[*].metadata.name}"))
	if len(names) == 0 {
		t.Fatalf("%s has no Pod", deployment)
	}
	return names[0]
}

// drain tries to evict all Pods from the only node, and verifies that PodDisruptionBudgets prevent the eviction of the
// last replicas.
func drain(t *testing.T) {
	t.Helper()
	out, err := world.host.kubectl(t.Context(), "drain", "node1", "--ignore-daemonsets", "--delete-emptydir-data",
		"--force", "--timeout=10s")
	if err == nil {
		t.Errorf("the last replicas were evicted: %s", out)
	}
	world.host.must(t, "uncordon", "node1")
	awaitRollout(t, apiserver)
	awaitRollout(t, controllerManager)
}

// killControllerManager kills the active replica, and measures the time until a new binding is in force.
func killControllerManager(t *testing.T) {
	t.Helper()
	lease := world.host.must(t, "-n", namespace, "get", "leases", "-o", "jsonpath={.items[*].spec.holderIdentity}")
	killed := false
	for _, p := range processes(t, controllerManager) {
		if strings.Contains(lease, p.hostname) {
			p.kill(t)
			killed = true
		}
	}
	if !killed {
		t.Fatalf("no replica holds the lease of %s", lease)
	}
	begun := time.Now()
	newPerson(t, doors(t)[0], "readonly")
	if took := time.Since(begun); took > takeoverTimeout+slack {
		t.Errorf("a new user with a binding has waited %s", took)
	} else {
		t.Logf("a new user with a binding has waited %s", took.Round(100*time.Millisecond))
	}
	awaitRollout(t, controllerManager)
}

func rotateCertificate(t *testing.T) {
	t.Helper()
	before := world.host.servingCA(t)
	world.host.must(t, "-n", namespace, "delete", "secret", "kubevision-apiserver-tls")
	eventually(t, "have a new certificate", func(ctx context.Context) error {
		secret := &corev1.Secret{}
		if err := world.host.Client.Get(ctx, client.ObjectKey{
			Namespace: namespace, Name: "kubevision-apiserver-tls",
		}, secret); err != nil {
			return err
		}
		if string(secret.Data["ca.crt"]) == before {
			return errors.New("it is the previous one")
		}
		conn, err := wire.New(serviceURL, secret.Data["ca.crt"])
		if err != nil {
			return err
		}
		for range 8 { // the connections reach both replicas
			_, err := conn.Do(ctx, wire.Request{Path: "/readyz", Header: map[string][]string{"Connection": {"close"}}})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// rotateSigningKey adds a signing key, as the controllers do every month, and returns its name.
func rotateSigningKey(t *testing.T) string {
	t.Helper()
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: namespace, Name: "kubevision-signing-keys"}
	if err := world.host.Client.Get(t.Context(), key, secret); err != nil {
		t.Fatal(err)
	}
	name, value, err := token.NewKey(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	secret.Data[name] = value
	if err := world.host.Programs.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	return name
}

// replicaKilled verifies that requests fail only with connection errors after a replica is killed. The errors must end
// when the readiness probe has removed the replica from the Service.
func replicaKilled(t *testing.T, l load) {
	var at time.Time
	r := l.during(t, func() {
		all := processes(t, apiserver)
		if len(all) == 0 {
			t.Fatal("there is no process")
		}
		at = time.Now()
		all[0].kill(t)
		time.Sleep(probeInterval)
		awaitRollout(t, apiserver)
	})
	r.print(t)
	for _, f := range r.failures {
		if f.code != 0 || strings.HasPrefix(f.reason, "HTTP 5") && !strings.Contains(f.reason, "connect") {
			t.Errorf("not a failed connection: %s: %s", f.loader, f.reason)
		}
		if after := f.at.Sub(at); after > probeInterval+slack {
			t.Errorf("%s after the kill: %s: %s", after, f.loader, f.reason)
		}
	}
}

// etcdStopped verifies that requests do not fail with the code TooManyRequests while etcd is stopped. This code would
// wrongly blame the user. Requests must succeed soon after etcd continues.
func etcdStopped(t *testing.T, l load) {
	etcd := world.host.Etcd().PID()
	var back time.Time
	r := l.during(t, func() {
		sendSignal(t, etcd, syscall.SIGSTOP)
		time.Sleep(10 * time.Second)
		sendSignal(t, etcd, syscall.SIGCONT)
		back = time.Now()
		time.Sleep(recoveryTimeout)
	})
	r.print(t)
	for _, f := range r.failures {
		if f.code == wire.TooManyRequests {
			t.Errorf("the user is blamed: %s: %s", f.loader, f.reason)
		}
	}
	r.wantRecovery(t, back)
}

// apiServerKilled verifies that requests to the Service fail promptly with the code Unreachable while kube-apiserver
// does not run. Requests must succeed soon after kube-apiserver runs again.
func apiServerKilled(t *testing.T, l load) {
	var back time.Time
	r := l.during(t, func() {
		if err := world.host.APIServer().Kill(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if err := world.host.APIServer().Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		back = time.Now()
		time.Sleep(recoveryTimeout)
	})
	r.print(t)
	for _, f := range r.failures {
		if !strings.HasPrefix(f.loader, "service") {
			continue // the request failed to connect to kube-apiserver
		}
		if f.code != wire.Unreachable || f.duration > unreachableTimeout+slack {
			t.Errorf("after %s: %s: %s", f.duration, f.loader, f.reason)
		}
	}
	r.wantRecovery(t, back)
}

func (r report) wantRecovery(t *testing.T, back time.Time) {
	t.Helper()
	for _, f := range r.failures {
		if after := f.at.Add(-f.duration).Sub(back); after > recoveryTimeout {
			t.Errorf("%s after the return: %s: %s", after, f.loader, f.reason)
		}
	}
}

func sendSignal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	if pid == 0 {
		t.Fatal("the process does not run")
	}
	if err := syscall.Kill(pid, s); err != nil {
		t.Fatal(err)
	}
}
