// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/names"
	"github.com/kubevision-io/kubevision/test/grants"
)

type person struct {
	value   string
	source  *corev1.Secret
	user    *kubevisionv1alpha1.KubeVisionUser
	binding *kubevisionv1alpha1.KubeVisionRoleBinding
	// want contains the RBAC objects that must exist for the role binding. want is nil if the test deletes the user.
	want []made
}

func people(tb testing.TB, count int, namespace string) []*person {
	tb.Helper()
	out := make([]*person, 0, count)
	for i := range count {
		p := &person{value: newPassword()}
		p.source = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: names.Namespace, Name: unique("source")},
			Data:       map[string][]byte{names.PasswordKey: []byte(p.value)},
		}
		p.user = userObject(p.source.Name)
		var namespaces *kubevisionv1alpha1.NamespaceTargets
		if i%2 == 0 {
			namespaces = grants.Named(namespace)
		}
		p.binding = hostBinding(kubevisionv1alpha1.RoleDev, namespaces, grants.ToUser(p.user.Name))
		switch {
		case i%4 > 1: // these users are deleted
		case namespaces != nil:
			p.want = []made{inNamespaces(p.binding, "kubevision:readonly", user(p.user.Name), namespace),
				using(p.binding, hostName, user(p.user.Name))}
		default:
			p.want = []made{inWholeCluster(p.binding, "kubevision:readonly", user(p.user.Name)),
				using(p.binding, hostName, user(p.user.Name))}
		}
		out = append(out, p)
	}
	tb.Cleanup(func() {
		for _, p := range out {
			remove(tb, p.source)
			remove(tb, p.user)
			remove(tb, p.binding)
		}
	})
	return out
}

func (p *person) runLifecycle(ctx context.Context, wait func()) error {
	for _, o := range []client.Object{p.source, p.user, p.binding} {
		if err := env.Client.Create(ctx, o); err != nil {
			return err
		}
		wait()
	}
	patch := []byte(`{"spec":{"roleRef":{"name":"readonly"}}}`)
	if err := env.Client.Patch(ctx, p.binding, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		return err
	}
	wait()
	if p.want != nil {
		return nil
	}
	return errors.Join(env.Client.Delete(ctx, p.user), env.Client.Delete(ctx, p.binding))
}

// TestKilledAtAnyMoment verifies that a new controller process completes the work of a killed process, and creates no
// object twice. The processes are killed at random times.
func TestKilledAtAnyMoment(t *testing.T) {
	guard(t)
	host(t)
	n := newNamespace(t, nil)
	everybody := people(t, 20, n)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)) //nolint:gosec // a test
	work, ctx := errgroup.WithContext(t.Context())
	work.SetLimit(4)
	done := make(chan error, 1)
	go func() {
		for _, p := range everybody {
			pause := func() { time.Sleep(rand.N(400 * time.Millisecond)) } //nolint:gosec // a test
			work.Go(func() error { return p.runLifecycle(ctx, pause) })
		}
		done <- work.Wait()
	}()
	finished := false
	for kills := 0; !finished || kills < 5; kills++ {
		time.Sleep(time.Duration(300+random.IntN(1500)) * time.Millisecond)
		crash(t)
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			finished = true
		default:
		}
	}
	eventually(t, 2*time.Minute, "wait for the common objects", func(ctx context.Context) error {
		for _, p := range everybody {
			if err := p.converged(ctx); err != nil {
				return fmt.Errorf("%s: %w", p.user.Name, err)
			}
		}
		return impersonatesExactlyTheNamed(ctx)
	})
	for _, p := range everybody {
		if p.want != nil {
			awaitReady(t, p.user)
			awaitReady(t, p.binding)
			awaitLogin(t, p.user.Name, p.value, dashboardv1alpha1.CodeOK)
		}
	}
}

func (p *person) converged(ctx context.Context) error {
	if err := isMade(p.binding, p.want...)(ctx); err != nil {
		return err
	}
	if p.want != nil {
		return nil
	}
	return errors.Join(absent(ctx, p.user), absent(ctx, p.binding), absent(ctx, credentialsOf(p.user.Name)))
}
