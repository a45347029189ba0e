// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

func (p person) post(tb testing.TB, path, body string) wire.Envelope {
	tb.Helper()
	return p.client.Call(tb, wire.Request{
		Method: http.MethodPost, Path: p.base + path, Bearer: p.AccessToken, Body: body,
	})
}

// TestDebugContainer verifies that an ephemeral container can be added to a Pod, and that a client can attach to it.
func TestDebugContainer(t *testing.T) {
	p, namespace := inNamespace(t, "admin")
	pod := runs(t, namespace, "web", nil, "main")
	started := make(chan struct{})
	go func() { // starts the container like a kubelet
		defer close(started)
		for t.Context().Err() == nil {
			time.Sleep(20 * time.Millisecond)
			if env.Client.Get(t.Context(), client.ObjectKeyFromObject(pod), pod) != nil ||
				len(pod.Spec.EphemeralContainers) == 0 {
				continue
			}
			pod.Status.EphemeralContainerStatuses = []corev1.ContainerStatus{{
				Name:  pod.Spec.EphemeralContainers[0].Name,
				State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
			}}
			if env.Client.Status().Update(t.Context(), pod) == nil {
				return
			}
		}
	}()
	var made struct{ Container, State string }
	p.post(t, ofPod(namespace, "web", "debug"), `{"image":"tools:1","command":["sh"],"target":"main"}`).
		Want(t, wire.OK).Into(t, &made)
	<-started
	c := pod.Spec.EphemeralContainers[0]
	if made.State != "running" || made.Container != c.Name || c.Image != "tools:1" || c.TargetContainerName != "main" ||
		!c.Stdin || !c.TTY {
		t.Errorf("%+v: the container is %+v", made, c)
	}
	conn := open(t, p.client, p.get(ofPod(namespace, "web", "attach?container="+made.Container)))
	conn.send(t, typed{Type: "input", Data: "echo is $((40+2))\n"})
	readUntil(t, conn, func(f frame) bool { return strings.Contains(f.Data, "is 42") })
	for body, code := range map[string]int{
		`{"target":"../x"}`: wire.Invalid, `{"image":"a b"}`: wire.Invalid, `{"privileged":true}`: wire.Invalid,
	} {
		p.post(t, ofPod(namespace, "web", "debug"), body).Want(t, code)
	}
	reader := bound(t, "readonly", namespace)
	reader.post(t, ofPod(namespace, "web", "debug"), "").Want(t, wire.Forbidden)
}

// TestNodeShell verifies the Pod that KubeVision creates for a shell on a node:
//   - RBAC must allow the user to create the Pod.
//   - The Pod Security level of the Pod's namespace must allow the Pod.
//   - KubeVision deletes the Pod when the client disconnects.
func TestNodeShell(t *testing.T) {
	if err := startKubelet(); err != nil {
		t.Fatal(err)
	}
	p, namespace := inNamespace(t, "admin")
	path := "/clusters/" + host + "/nodes/" + nodeName + "/shell?namespace=" + namespace
	started := make(chan *corev1.Pod, 1)
	go func() { // starts the Pod like a kubelet
		var pods corev1.PodList
		for t.Context().Err() == nil {
			time.Sleep(20 * time.Millisecond)
			err := env.Client.List(t.Context(), &pods, client.InNamespace(namespace),
				client.MatchingLabels{"kubevision.io/node-shell": "true"})
			if err != nil || len(pods.Items) == 0 {
				continue
			}
			pod := &pods.Items[0]
			pod.Status.Phase = corev1.PodRunning
			if env.Client.Status().Update(t.Context(), pod) == nil {
				started <- pod
				return
			}
		}
	}()
	ticket := p.ticket(t, `{"cluster":"`+host+`","verb":"nodeshell"}`)
	conn := open(t, p.client, wire.Request{Path: p.base + path + "&ticket=" + ticket})
	pod := <-started
	conn.send(t, typed{Type: "input", Data: "echo is $((40+2))\n"})
	readUntil(t, conn, func(f frame) bool { return strings.Contains(f.Data, "is 42") })
	if pod.Spec.NodeName != nodeName || !pod.Spec.HostPID || pod.Spec.ActiveDeadlineSeconds == nil ||
		!pod.Spec.Containers[0].StdinOnce || pod.Annotations["kubevision.io/user"] != "kubevision:"+p.User.Name {
		t.Errorf("the Pod is %+v", pod)
	}
	_ = conn.Close() // without a close message
	fixture.Eventually(t, "the removal of the Pod", func(ctx context.Context) error {
		err := env.Client.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		if err == nil && pod.DeletionTimestamp == nil {
			return errors.New("it is still there")
		}
		return client.IgnoreNotFound(err)
	})

	// A ticket for a Pod does not open a shell on a node with the same name.
	other := p.ticket(t, `{"cluster":"`+host+`","pod":"`+nodeName+`","verb":"exec"}`)
	refused(t, p.client, wire.Request{Path: p.base + path + "&ticket=" + other}).Want(t, wire.Unauthenticated)
	reader := bound(t, "readonly", namespace)
	refused(t, reader.client, reader.get(path)).Want(t, wire.Forbidden)
	refused(t, p.client, p.get(path+"&image=a%20b")).Want(t, wire.Invalid)

	ns := &corev1.Namespace{}
	if err := env.Client.Get(t.Context(), client.ObjectKey{Name: namespace}, ns); err != nil {
		t.Fatal(err)
	}
	ns.Labels["pod-security.kubernetes.io/enforce"] = "baseline"
	if err := env.Client.Update(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, "the refusal by Pod Security", func(ctx context.Context) error {
		conn, refusal, err := p.client.WebSocket(ctx, p.get(path))
		if conn != nil {
			_ = conn.Close()
			return errors.New("it is open")
		}
		if err == nil && refusal.Envelope(t).Code != wire.Rejected {
			err = errors.New(string(refusal.Body))
		}
		return err
	})
}

// TestTicketWithACode verifies that a client can send a one-time code in the request for a ticket, which is a token for
// opening a WebSocket. A browser cannot send the code in a header when it opens a WebSocket.
func TestTicketWithACode(t *testing.T) {
	p := bound(t, "admin")
	name := fixture.Name("system")
	runs(t, "kube-system", name, nil, "main")
	secret := fixture.Enrol(t, p.client, p.base, p.AccessToken)
	path := p.base + ofPod("kube-system", name, "exec?command=true&ticket=")
	body := `{"cluster":"` + host + `","namespace":"kube-system","pod":"` + name + `","verb":"exec"`
	refused(t, p.client, wire.Request{Path: path + p.ticket(t, body+"}")}).Want(t, wire.TwoFactorRequired)
	p.post(t, "/ws/ticket", body+`,"totpCode":"000000"}`).Want(t, wire.TwoFactorFailed)
	code := fixture.Code(t, secret, 0)
	ticket := p.ticket(t, body+`,"totpCode":"`+code+`"}`)
	conn := open(t, p.client, wire.Request{Path: path + ticket})
	readUntil(t, conn, func(f frame) bool { return f.Type == "close" && f.ExitCode != nil })
	// Neither the code nor the ticket is valid twice.
	refused(t, p.client, wire.Request{Path: path + ticket}).Want(t, wire.Unauthenticated)
	p.post(t, "/ws/ticket", body+`,"totpCode":"`+code+`"}`).Want(t, wire.TwoFactorFailed)
	// A ticket opens only streams. It does not open the log over HTTP, because such a request would not mark it as
	// used.
	log := "/clusters/" + host + "/log/namespaces/kube-system/pods/" + name + "?ticket="
	p.client.Call(t, wire.Request{Path: p.base + log + p.ticket(t, "")}).Want(t, wire.Unauthenticated)
}
