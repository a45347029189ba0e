// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/registry/podaccess"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

const (
	// DefaultDebugImage is the default image of debug containers.
	DefaultDebugImage = "busybox:1.37"

	ephemeralContainers = "ephemeralcontainers"
	// debugPatience bounds the time for which a request for a debug container waits until this container runs.
	debugPatience = 20 * time.Second
	// pollInterval is the time between two reads of a Pod, while a request waits until a container of the Pod runs.
	pollInterval = 300 * time.Millisecond
	maxImage     = 1 << 10

	stateRunning    = "running"
	stateWaiting    = "waiting"
	stateTerminated = "terminated"
)

// debugRoute returns the route that adds an ephemeral container to a Pod.
func (p *Provider) debugRoute() routes.Route {
	return routes.Route{
		Method: http.MethodPost, Path: podaccess.Path + "/debug", Operation: "debugPod",
		Doc:   "add an ephemeral container to a Pod, to which a terminal can attach",
		Reads: dashboardv1alpha1.DebugRequest{}, BodyOptional: true, Returns: dashboardv1alpha1.DebugEnvelope{},
		Parameters: podaccess.Docs(),
		Endpoint: routes.Reviewed(func(r *routes.Request, u user.Info) (*debugTarget, error) {
			caller, err := p.Access.Cluster(r, u)
			if err != nil {
				return nil, err
			}
			target, err := objectref.Find(
				r.Context(), caller, "patch", "pods", r.Path(objectref.Namespace), r.Path(objectref.Name),
			)
			return &debugTarget{caller: caller, target: target}, err
		}, p.debug),
	}
}

// debugTarget contains a Pod to which a debug container is added, and a client for its cluster.
type debugTarget struct {
	caller *clusters.Client
	target objectref.Target
}

func (d *debugTarget) attributes() authorizationv1.ResourceAttributes {
	a := d.target.Attributes("patch")
	a.Subresource = ephemeralContainers
	return a
}

func (p *Provider) debug(r *routes.Request, d *debugTarget) (routes.Result, error) {
	container, err := p.debugContainer(r)
	if err != nil {
		return routes.Result{}, err
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{
		"ephemeralContainers": []corev1.EphemeralContainer{*container},
	}})
	if err != nil {
		return routes.Result{}, fmt.Errorf("encoding a patch: %w", err)
	}
	call := d.target.Call(http.MethodPatch)
	call.Subresource, call.Body, call.ContentType = ephemeralContainers, patch, string(types.StrategicMergePatchType)
	if _, err := d.caller.Do(r.Context(), call); err != nil {
		return routes.Result{}, authorization.CallError(r.Context(), d.caller, d.attributes(), err)
	}
	return routes.Result{Data: d.await(r.Context(), container.Name)}, nil
}

// debugContainer returns the container that the body of r describes. It returns an error if a field is not valid.
func (p *Provider) debugContainer(r *routes.Request) (*corev1.EphemeralContainer, error) {
	body := dashboardv1alpha1.DebugRequest{}
	if err := r.ReadOptionalJSON(&body); err != nil {
		return nil, err
	}
	if body.Target != "" {
		if err := routes.CheckLabel("target", body.Target); err != nil {
			return nil, err
		}
	}
	if len(body.Command) > maxCommand || len(strings.Join(body.Command, " ")) > maxCommandBytes {
		return nil, envelope.Invalid("command", "the command is too long")
	}
	image, err := p.image(body.Image)
	if err != nil {
		return nil, err
	}
	return &corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{
			Name: "debugger-" + suffix(), Image: image, Command: body.Command, Stdin: true, TTY: true,
			ImagePullPolicy: corev1.PullIfNotPresent, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		},
		TargetContainerName: body.Target,
	}, nil
}

func (p *Provider) image(requested string) (string, error) {
	if requested == "" {
		return p.DebugImage, nil
	}
	if len(requested) > maxImage || strings.ContainsAny(requested, " \t\r\n") {
		return "", envelope.Invalid("image", "the image is too long, or has spaces")
	}
	return requested, nil
}

// suffix returns a random suffix for the name of a container or Pod.
func suffix() string {
	const length = 8
	return strings.ToLower(rand.Text()[:length])
}

// await waits until the container with the given name runs or has terminated, but at most debugPatience. It returns the
// last state of the container.
func (d *debugTarget) await(ctx context.Context, name string) dashboardv1alpha1.DebugContainer {
	out := dashboardv1alpha1.DebugContainer{Container: name, State: stateWaiting}
	// The error is ignored, because the debug container was already added. For example, the wait may time out, or the
	// caller may not be allowed to get the Pod.
	_ = wait.PollUntilContextTimeout(ctx, pollInterval, debugPatience, true, func(ctx context.Context) (bool, error) {
		pod, err := readPod(ctx, d.caller, d.target)
		if err != nil {
			return false, err
		}
		i := slices.IndexFunc(pod.Status.EphemeralContainerStatuses, func(s corev1.ContainerStatus) bool {
			return s.Name == name
		})
		if i < 0 {
			return false, nil
		}
		state := pod.Status.EphemeralContainerStatuses[i].State
		switch {
		case state.Running != nil:
			out.State = stateRunning
		case state.Terminated != nil:
			out.State, out.Message = stateTerminated, state.Terminated.Reason
		case state.Waiting != nil:
			out.Message = state.Waiting.Reason
		}
		return out.State != stateWaiting, nil
	})
	return out
}

// readPod gets a Pod as the caller.
func readPod(ctx context.Context, caller *clusters.Client, target objectref.Target) (*corev1.Pod, error) {
	text, err := caller.Get(ctx, target.Resource, target.Namespace, target.Name, nil)
	if err != nil {
		return nil, err //nolint:wrapcheck // it is that of the cluster
	}
	pod := &corev1.Pod{}
	if err := json.Unmarshal(text, pod); err != nil {
		return nil, errors.New("the cluster has sent a malformed Pod")
	}
	return pod, nil
}
