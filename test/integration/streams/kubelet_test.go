// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kubevisionv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/kubevision/v1alpha1"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const nodeName = "simulated"

var startKubelet = sync.OnceValue(func() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	port, err := env.Cluster.StartKubelet(ctx)
	if err != nil {
		return err
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}
	if err := env.Client.Create(ctx, node); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port)
	return env.Client.Status().Update(ctx, node)
})

// runs creates a Pod with running containers on the simulated node.
func runs(tb testing.TB, namespace, name string, labels map[string]string, containers ...string) *corev1.Pod {
	tb.Helper()
	if err := startKubelet(); err != nil {
		tb.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec:       corev1.PodSpec{NodeName: nodeName, AutomountServiceAccountToken: new(bool)},
	}
	var statuses []corev1.ContainerStatus
	for _, c := range containers {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: c, Image: "none"})
		statuses = append(statuses, corev1.ContainerStatus{
			Name: c, Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
		})
	}
	set().Create(tb, pod)
	pod.Status.Phase, pod.Status.ContainerStatuses = corev1.PodRunning, statuses
	if err := env.Client.Status().Update(tb.Context(), pod); err != nil {
		tb.Fatal(err)
	}
	return pod
}

func writeLog(tb testing.TB, namespace, pod, container string, lines ...string) {
	tb.Helper()
	dir := filepath.Join(env.Cluster.PodsDir(), namespace, pod)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	file, err := os.OpenFile(filepath.Join(dir, container+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	for _, line := range lines {
		now := time.Now().UTC().Format(time.RFC3339Nano)
		if _, err := fmt.Fprintf(file, "%s stdout F %s\n", now, line); err != nil {
			tb.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		tb.Fatal(err)
	}
}

// inNamespace creates a user with a role in a new namespace, and waits until the role takes effect.
func inNamespace(tb testing.TB, role string) (p person, namespace string) {
	tb.Helper()
	namespace = set().Namespace(tb, "streams")
	p = bound(tb, role, namespace)
	fixture.Eventually(tb, "the right of the user", func(ctx context.Context) error {
		return p.client.Answers(ctx, 0, p.get("/clusters/"+host+"/namespaces/"+namespace+"/resources/pods"))
	})
	return p, namespace
}

func (p person) get(path string) wire.Request {
	return wire.Request{Path: p.base + path, Bearer: p.AccessToken}
}

func ofPod(namespace, pod, what string) string {
	return "/clusters/" + host + "/namespaces/" + namespace + "/pods/" + pod + "/" + what
}

type frame struct {
	Type, Data, Pod, Container, Reason string
	Cut                                bool
	ExitCode                           *int
	IdleSeconds, MaxSeconds            int
}

func (s *socket) next(tb testing.TB) []byte {
	tb.Helper()
	select {
	case message := <-s.messages:
		return message
	case <-s.ended:
		select {
		case message := <-s.messages:
			return message
		default:
			tb.Fatalf("the socket has ended: %v", s.end)
		}
	case <-time.After(fixture.Patience):
		tb.Fatal("nothing arrives")
	}
	return nil
}

func readUntil(tb testing.TB, s *socket, wanted func(frame) bool) []frame {
	tb.Helper()
	var out []frame
	defer func() {
		if tb.Failed() {
			tb.Logf("the frames are %+v", out)
		}
	}()
	for {
		text := s.next(tb)
		var f frame
		if err := json.Unmarshal(text, &f); err != nil {
			tb.Fatalf("frame %q: %v", text, err)
		}
		if out = append(out, f); wanted(f) {
			return out
		}
	}
}

func ofType(frames []frame, kind string) string {
	var out strings.Builder
	for _, f := range frames {
		if f.Type == kind {
			out.WriteString(f.Data)
		}
	}
	return out.String()
}

func (p person) unbind(tb testing.TB) {
	tb.Helper()
	var all kubevisionv1alpha1.KubeVisionRoleBindingList
	if err := env.Client.List(tb.Context(), &all); err != nil {
		tb.Fatal(err)
	}
	for i := range all.Items {
		b := &all.Items[i]
		names := func(s kubevisionv1alpha1.Subject) bool { return s.Name == p.User.Name }
		if !slices.ContainsFunc(b.Spec.Subjects, names) {
			continue
		}
		if err := env.Client.Delete(tb.Context(), b); err != nil {
			tb.Fatal(err)
		}
	}
}
