// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	// outageAnswer is the maximum duration of a request to kubevision-apiserver while kube-apiserver does not respond.
	// It consists of the timeout of an access review and a margin for a busy machine.
	outageAnswer      = 5 * time.Second
	outageRecovery    = 5 * time.Second
	waitLogTimeout    = 20 * time.Second
	startAfterOutage  = time.Minute
	pauseCheckTimeout = 200 * time.Millisecond
	pauseBeginTimeout = 10 * time.Second
)

// pauseHost stops the process of kube-apiserver until the returned function is called or the test ends. The pause must
// be shorter than the lease of kubevision-controller-manager.
func pauseHost(t *testing.T) (resume func()) {
	t.Helper()
	program := env.Cluster.APIServer().PID()
	if err := syscall.Kill(program, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume = sync.OnceFunc(func() {
		if err := syscall.Kill(program, syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(resume)
	awaitPause(t)
	return resume
}

// awaitPause waits until kube-apiserver no longer responds. After SIGSTOP, kube-apiserver may still respond for a short
// time, because its threads do not stop at once.
func awaitPause(t *testing.T) {
	t.Helper()
	config := rest.CopyConfig(env.Cluster.Config())
	config.Timeout = pauseCheckTimeout
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := localcluster.Poll(t.Context(), pauseBeginTimeout, "wait for the pause", func(context.Context) error {
		if _, err := client.ServerVersion(); err == nil {
			return errors.New("kube-apiserver responds")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// startInOutage starts a program while kube-apiserver is paused. It returns when the program logs that it waits for
// kube-apiserver. The function resume ends the pause. The function awaitStart waits until the program is ready.
func startInOutage(t *testing.T, program *localcluster.Program) (awaitStart func() error, resume func()) {
	t.Helper()
	begun, err := os.ReadFile(program.LogFile())
	if err != nil {
		t.Fatal(err)
	}
	resume = pauseHost(t)
	ended := make(chan error, 1)
	go func() { ended <- program.Start(t.Context()) }()
	if err := localcluster.Poll(t.Context(), waitLogTimeout, "wait for the log", func(context.Context) error {
		text, err := os.ReadFile(program.LogFile())
		if err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		if !bytes.Contains(text[len(begun):], []byte("Waiting for the API server of the host cluster")) {
			return errors.New("the log does not say that the program waits")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	return func() error {
		select {
		case err := <-ended:
			return err
		case <-time.After(startAfterOutage):
			return errors.New("the program is not ready")
		}
	}, resume
}

// TestStartWithoutTheHost verifies that a start of either KubeVision program waits until kube-apiserver responds. While
// kubevision-apiserver waits, it is alive but not ready.
func TestStartWithoutTheHost(t *testing.T) {
	t.Run("kubevision-apiserver", func(t *testing.T) {
		replica := newReplica(t)
		if err := replica.Stop(); err != nil {
			t.Fatal(err)
		}
		awaitStart, resume := startInOutage(t, replica.Program)
		client := at(t, replica.Endpoint())
		for path, want := range map[string]int{
			"/livez": http.StatusOK, "/readyz": http.StatusServiceUnavailable,
			"/version": http.StatusServiceUnavailable,
		} {
			if got := client.Send(t, wire.Request{Path: path}); got.Status != want {
				t.Errorf("%s: HTTP %d, want %d", path, got.Status, want)
			}
		}
		client.Call(t, wire.Request{Path: wire.DirectPath + me}).Want(t, wire.Unreachable)
		resume()
		if err := awaitStart(); err != nil {
			t.Fatal(err)
		}
		direct(t).Call(t, wire.Request{Path: wire.DirectPath + me}).Want(t, wire.Unauthenticated)
		at(t, replica.Endpoint()).Call(t, wire.Request{Path: wire.DirectPath + me}).Want(t, wire.Unauthenticated)
	})
	t.Run("kubevision-controller-manager", func(t *testing.T) {
		program := env.KubeVision.ControllerManager()
		if err := program.Stop(); err != nil {
			t.Fatal(err)
		}
		awaitStart, resume := startInOutage(t, program)
		resume()
		if err := awaitStart(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestHostThatDoesNotAnswer verifies that, while kube-apiserver does not respond, all requests get a response in time,
// and no response blames the caller.
func TestHostThatDoesNotAnswer(t *testing.T) {
	const atOnce, rounds = 60, 2
	a, client := newActor(t, ""), direct(t)
	request := func(cluster string) wire.Request {
		return wire.Request{Path: wire.DirectPath + "/clusters/" + cluster + "/resources/pods", Bearer: a.AccessToken}
	}
	client.Call(t, request("of-nobody")).Want(t, wire.ClusterForbidden)

	resume := pauseHost(t)
	for round := range rounds {
		var all sync.WaitGroup
		for i := range atOnce {
			all.Go(func() {
				begun := time.Now()
				// The cache has no verdict about this cluster.
				response, err := client.Do(t.Context(), request(fmt.Sprintf("of-nobody-%d-%d", round, i)))
				if err != nil {
					t.Errorf("no answer: %v", err)
					return
				}
				e, err := response.Parse()
				if err != nil || e.Code != wire.Unreachable || !strings.Contains(e.Message, "host cluster") {
					t.Errorf("code %d %q (%v)", e.Code, e.Message, err)
				}
				if took := time.Since(begun); took > outageAnswer {
					t.Errorf("an answer took %s, want at most %s", took, outageAnswer)
				}
			})
		}
		all.Wait()
	}
	resume()
	if err := localcluster.Poll(t.Context(), outageRecovery, "be answered again", func(ctx context.Context) error {
		return client.Answers(ctx, wire.ClusterForbidden, request("of-nobody"))
	}); err != nil {
		t.Error(err)
	}
}
