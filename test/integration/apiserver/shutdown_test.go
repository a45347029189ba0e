// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authentication/token"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	shutdownDelay = 8 * time.Second
	// exitTime bounds the time between the end of the shutdown delay and the exit of a replica.
	exitTime = 8 * time.Second
)

// terminate sends SIGTERM to a replica, and waits until the shutdown has started. The channel receives the time between
// the signal and the exit.
func terminate(t *testing.T, replica *localcluster.APIServer) <-chan time.Duration {
	t.Helper()
	told, ended := time.Now(), make(chan time.Duration, 1)
	go func() {
		if err := replica.Stop(); err != nil {
			t.Error(err)
		}
		ended <- time.Since(told)
	}()
	anonymous := at(t, replica.Endpoint())
	fixture.Eventually(t, "wait for the replica to say that it stops", func(ctx context.Context) error {
		response, err := anonymous.Do(ctx, wire.Request{Path: "/readyz"})
		if err != nil {
			return err
		}
		if response.Status == http.StatusOK {
			return errors.New("it is ready")
		}
		return nil
	})
	return ended
}

type tally struct {
	accepted, refused int // a refused request has an authentication error
}

// hammer sends reads and writes alternately until ctx ends. It counts the responses to requests that were sent after
// the start time. The function startTime returns the start time, or a zero time if the start time is not yet known.
func hammer(ctx context.Context, c *wire.Client, bearer, namespace string, startTime func() time.Time) (tally, error) {
	var out tally
	for i := 0; ctx.Err() == nil; i++ {
		r := wire.Request{Path: wire.DirectPath + me, Bearer: bearer}
		if i%2 == 1 {
			r.Method, r.Path = http.MethodPost, wire.DirectPath+onHost+"/namespaces/"+namespace+"/resources/configmaps"
			r.Body = fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q}}`, fixture.Name("late"))
		}
		sent := time.Now()
		response, err := c.Do(ctx, r)
		if err != nil {
			return out, nil //nolint:nilerr // the replica has stopped, or the test has ended
		}
		e, err := response.Parse()
		if err != nil {
			return out, err
		}
		if from := startTime(); !from.IsZero() && sent.After(from) {
			if e.Code == wire.Unauthenticated || e.Code == wire.TokenExpired {
				out.refused++
			} else {
				out.accepted++
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return out, nil
}

// TestShutdownDelay verifies that a replica that still receives requests during its shutdown delay authorizes them with
// the current state.
func TestShutdownDelay(t *testing.T) {
	replica, err := env.KubeVision.StartAPIServer(t.Context(), 0, "--shutdown-delay-duration="+shutdownDelay.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Kill() })
	namespace := set().Namespace(t, "shutdown")
	revocations := map[string]func(actor) error{
		"session deleted": func(a actor) error {
			return env.Client.Delete(t.Context(), &kubevisionv1alpha1.KubeVisionSession{
				ObjectMeta: metav1.ObjectMeta{Name: fixture.Take(t, a.AccessToken).Session()},
			})
		},
		"user disabled": func(a actor) error {
			return env.Client.Patch(t.Context(), a.Object.DeepCopy(),
				client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"disabled":true}}`)))
		},
		"user deleted": func(a actor) error { return env.Client.Delete(t.Context(), a.Object.DeepCopy()) },
	}
	actors := map[string]actor{}
	for name := range revocations {
		actors[name] = newActor(t, kubevisionv1alpha1.RoleDev, namespace)
		at(t, replica.Endpoint()).Call(t,
			wire.Request{Path: wire.DirectPath + me, Bearer: actors[name].AccessToken}).Want(t, wire.OK)
	}
	late, rotated := newActor(t, ""), newActor(t, "")

	ended := terminate(t, replica)
	ctx, cancel := context.WithTimeout(t.Context(), shutdownDelay-time.Second)
	defer cancel()
	var group sync.WaitGroup
	defer group.Wait()
	for name, revoke := range revocations {
		c := at(t, replica.Endpoint())
		group.Go(func() {
			var mu sync.Mutex
			var from time.Time
			time.AfterFunc(300*time.Millisecond, func() {
				if err := revoke(actors[name]); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				mu.Lock()
				defer mu.Unlock()
				from = time.Now().Add(promptly)
			})
			counted, err := hammer(ctx, c, actors[name].AccessToken, namespace, func() time.Time {
				mu.Lock()
				defer mu.Unlock()
				return from
			})
			if err != nil || counted.accepted > 0 || counted.refused < 20 {
				t.Errorf("%s: %d requests were accepted and %d refused (%v), want 0 and at least 20", name,
					counted.accepted, counted.refused, err)
			}
		})
	}
	group.Go(func() { grantDuringShutdown(ctx, t, at(t, replica.Endpoint()), late, namespace) })
	group.Go(func() { rotateDuringShutdown(ctx, t, at(t, replica.Endpoint()), rotated) })
	group.Wait()
	if took := <-ended; took < shutdownDelay || took > shutdownDelay+exitTime {
		t.Errorf("the replica ended after %s, want %s and a little more", took, shutdownDelay)
	}
}

// grantDuringShutdown creates the first role binding of a user during the shutdown of a server. It verifies that the
// server still grants access to the user.
func grantDuringShutdown(ctx context.Context, t *testing.T, c *wire.Client, a actor, namespace string) {
	b := &kubevisionv1alpha1.KubeVisionRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: fixture.Name("late")},
		Spec: kubevisionv1alpha1.KubeVisionRoleBindingSpec{
			Subjects:   fixture.KubeVisionUsers(a.User),
			RoleRef:    kubevisionv1alpha1.RoleReference{Name: kubevisionv1alpha1.RoleReadonly},
			Clusters:   kubevisionv1alpha1.ClusterTargets{Names: []string{host}},
			Namespaces: &kubevisionv1alpha1.NamespaceTargets{Names: []string{namespace}},
		},
	}
	if err := env.Client.Create(ctx, b); err != nil {
		t.Errorf("binding: %v", err)
		return
	}
	defer func() { _ = env.Client.Delete(context.WithoutCancel(ctx), b) }()
	awaitOK(ctx, t, c, "a new binding", wire.Request{
		Path: wire.DirectPath + onHost + "/namespaces/" + namespace + "/resources/configmaps", Bearer: a.AccessToken,
	})
}

// rotateDuringShutdown adds a key for signing tokens during the shutdown of a server. It verifies that the server
// still accepts a token that is signed with the new key.
func rotateDuringShutdown(ctx context.Context, t *testing.T, c *wire.Client, a actor) {
	name, value, err := token.NewKey(time.Now())
	if err != nil {
		t.Error(err)
		return
	}
	keys := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: fixture.SystemNamespace,
		Name: "kubevision-signing-keys"}}
	patch := func(ctx context.Context, value any) error {
		body, err := json.Marshal(map[string]any{"data": map[string]any{name: value}})
		if err != nil {
			return err
		}
		return env.Programs.Patch(ctx, keys.DeepCopy(), client.RawPatch("application/merge-patch+json", body))
	}
	if err := patch(ctx, value); err != nil {
		t.Errorf("adding a key: %v", err)
		return
	}
	defer func() { _ = patch(context.WithoutCancel(ctx), nil) }()
	id := string(bytes.TrimSuffix([]byte(name), []byte(".pem")))
	signed := fixture.Take(t, a.AccessToken).WithHeader("kid", id).Sign(t, set().SigningKey(t, id))
	awaitOK(ctx, t, c, "a new key", wire.Request{Path: wire.DirectPath + me, Bearer: signed})
}

func awaitOK(ctx context.Context, t *testing.T, c *wire.Client, what string, r wire.Request) {
	for {
		err := c.Answers(ctx, wire.OK, r)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Errorf("%s was not in force before the end of the delay: %v", what, err)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}
