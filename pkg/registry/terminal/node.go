// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/podaccess"
	"github.com/kubevision-io/kubevision/pkg/routes"
	"github.com/kubevision-io/kubevision/pkg/stepup"
	"github.com/kubevision-io/kubevision/pkg/streams"
)

const (
	// NodeShellLabel is a label of the Pods in which shells on nodes run. Its value is "true".
	NodeShellLabel = "kubevision.io/node-shell"
	// userAnnotation is an annotation of the Pods in which shells on nodes run. Its value is the name of the user.
	userAnnotation = "kubevision.io/user"

	nodeParameter      = objectref.Name
	namespaceParameter = "namespace"
	imageParameter     = "image"
	defaultNamespace   = "default"
	nodeContainer      = "shell"
	// nodePatience bounds the time for which a shell on a node waits until the Pod of the shell runs.
	nodePatience = 2 * time.Minute
	// removalTime bounds the time for deleting the Pod of a shell on a node.
	removalTime = 30 * time.Second
	// deadlineReserve is added to the longest duration of a terminal. The sum is the activeDeadlineSeconds of the Pod.
	// The Pod then ends even if it could not be deleted.
	deadlineReserve = 5 * time.Minute
)

// nodeRoute returns the route that opens a shell on a node.
func (p *Provider) nodeRoute() routes.Route {
	return routes.Route{
		Method: http.MethodGet, Path: "/clusters/{cluster}/nodes/{name}/shell", Operation: "openNodeShell",
		Verb: streams.VerbNodeShell, Returns: dashboardv1alpha1.Envelope{},
		Doc: "open a shell on a node, through a WebSocket: in a privileged Pod that is removed at the end",
		Parameters: map[string]string{
			nodeParameter:      "the name of the node",
			namespaceParameter: "the namespace of the Pod; the default is default",
			imageParameter:     "the image of the Pod with chroot; the default is the debug image of the server",
		},
		Endpoint: routes.Reviewed(p.reviewNode, p.openNode),
	}
}

// nodeShell is a shell on a node, which runs in a privileged Pod.
type nodeShell struct {
	access *podaccess.Access
	target objectref.Target
	node   string
	pod    []byte
}

// reviewNode reviews whether u may create the privileged Pod and attach to it. It also requires a one-time code if u
// has a second factor, because the shell controls the whole node.
func (p *Provider) reviewNode(r *routes.Request, u user.Info) (*request, error) {
	if err := routes.CheckSubdomain(nodeParameter, r.Path(nodeParameter)); err != nil {
		return nil, err
	}
	namespace := cmp.Or(r.Query(namespaceParameter), defaultNamespace)
	if err := routes.CheckLabel(namespaceParameter, namespace); err != nil {
		return nil, err
	}
	image, err := p.image(r.Query(imageParameter))
	if err != nil {
		return nil, err
	}
	shell := &nodeShell{node: r.Path(nodeParameter)}
	name := "node-shell-" + suffix()
	if shell.access, err = podaccess.FindPod(r, u, p.Access, namespace, name, streams.VerbAttach); err != nil {
		return nil, err
	}
	caller := shell.access.Caller
	if shell.target, err = objectref.Find(r.Context(), caller, "create", "pods", namespace, ""); err != nil {
		return nil, err
	}
	if shell.pod, err = json.Marshal(nodePod(name, shell.node, image, u.GetName(), p.MaxTime)); err != nil {
		return nil, fmt.Errorf("encoding a Pod: %w", err)
	}
	if err := authorization.Require(r.Context(), caller, shell.attributes()); err != nil {
		return nil, err
	}
	t := &request{Access: shell.access, nodeShell: shell, verb: streams.VerbNodeShell}
	query := url.Values{"container": {nodeContainer}, "binary": r.URL.Query()["binary"]}
	if err := t.parse(query); err != nil {
		return nil, err
	}
	if err := shell.access.Review(r.Context()); err != nil {
		return nil, err
	}
	return t, stepup.Require(r.Context())
}

func (n *nodeShell) attributes() authorizationv1.ResourceAttributes {
	return n.target.Attributes("create")
}

func (p *Provider) openNode(r *routes.Request, t *request) (routes.Result, error) {
	// The error of a dry run is sent as the HTTP response. Later errors can only be sent through the WebSocket.
	if err := t.nodeShell.create(r.Context(), url.Values{"dryRun": {metav1.DryRunAll}}); err != nil {
		return routes.Result{}, err
	}
	return p.open(r, t)
}

func (n *nodeShell) create(ctx context.Context, query url.Values) error {
	call := n.target.Call(http.MethodPost)
	call.Body, call.Query = n.pod, query
	_, err := n.access.Caller.Do(ctx, call)
	return authorization.CallError(ctx, n.access.Caller, n.attributes(), err)
}

// start creates the Pod and waits until it runs. It returns an error if the Pod has ended, or if it does not run within
// nodePatience.
func (n *nodeShell) start(ctx context.Context) error {
	if err := n.create(n.access.WithProof(ctx), nil); err != nil {
		return err
	}
	target := n.target
	target.Name = n.access.Call.Name
	phase := corev1.PodPending
	err := wait.PollUntilContextTimeout(ctx, pollInterval, nodePatience, true, func(ctx context.Context) (bool, error) {
		pod, err := readPod(ctx, n.access.Caller, target)
		if err != nil {
			return false, err
		}
		phase = pod.Status.Phase
		return phase == corev1.PodRunning || phase == corev1.PodSucceeded || phase == corev1.PodFailed, nil
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case wait.Interrupted(err), err == nil && phase != corev1.PodRunning:
		return streams.NewEnd(streams.Failed, "the Pod on the node does not run: its phase is "+string(phase))
	case err != nil:
		attributes := target.Attributes("get")
		return authorization.CallError(ctx, n.access.Caller, attributes, err)
	}
	return nil
}

// deletePod uses the rights of the caller to delete the Pod of the shell.
func (n *nodeShell) deletePod(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(n.access.WithProof(ctx)), removalTime)
	defer cancel()
	target := n.target
	target.Name = n.access.Call.Name
	call := target.Call(http.MethodDelete)
	call.Query = url.Values{"gracePeriodSeconds": {"1"}}
	// If the caller may no longer delete the Pod, the shell still ends: stdinOnce closes its stdin when the terminal
	// detaches.
	if _, err := n.access.Caller.Do(ctx, call); err != nil && !apierrors.IsNotFound(err) {
		klog.FromContext(ctx).Error(err, "The Pod of a node shell cannot be removed",
			"cluster", n.access.Cluster, "namespace", target.Namespace, "pod", target.Name)
	}
}

// nodePod returns a privileged Pod that runs a shell on a node. The shell uses the file system and the Linux namespaces
// (PID, network and IPC) of the node.
func nodePod(name, node, image, userName string, maxTime time.Duration) *corev1.Pod {
	yes, no := true, false
	deadline := int64((maxTime + deadlineReserve) / time.Second)
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{NodeShellLabel: "true"},
			Annotations: map[string]string{userAnnotation: userName},
		},
		Spec: corev1.PodSpec{
			NodeName: node, HostPID: true, HostNetwork: true, HostIPC: true, RestartPolicy: corev1.RestartPolicyNever,
			ActiveDeadlineSeconds: &deadline, AutomountServiceAccountToken: &no, EnableServiceLinks: &no,
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{
				Name: nodeContainer, Image: image, Command: append([]string{"chroot", "/host"}, shell()...),
				Stdin: true, StdinOnce: true, TTY: true,
				SecurityContext: &corev1.SecurityContext{Privileged: &yes},
				VolumeMounts:    []corev1.VolumeMount{{Name: "host", MountPath: "/host"}},
			}},
			Volumes: []corev1.Volume{{
				Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}},
			}},
		},
	}
}
