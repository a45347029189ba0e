// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package containerlogs

import (
	"encoding/json"
	"io"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
)

// maxPodBytes bounds the bytes of a Pod in JSON. It is twice etcd's limit for one object.
const maxPodBytes = 3 << 20

// pod contains the fields of a Pod that determine which of its containers run or have a log.
type pod struct {
	Metadata struct {
		Name              string       `json:"name"`
		UID               string       `json:"uid"`
		DeletionTimestamp *metav1.Time `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec struct {
		RestartPolicy corev1.RestartPolicy `json:"restartPolicy"`
	} `json:"spec"`
	Status struct {
		Phase      corev1.PodPhase `json:"phase"`
		Containers []container     `json:"containerStatuses"`
		Init       []container     `json:"initContainerStatuses"`
		Ephemeral  []container     `json:"ephemeralContainerStatuses"`
	} `json:"status"`
}

type container struct {
	Name  string `json:"name"`
	State state  `json:"state"`
	Last  state  `json:"lastState"`
}

type state struct {
	Running    *struct{} `json:"running"`
	Terminated *struct {
		ExitCode int32 `json:"exitCode"`
	} `json:"terminated"`
}

// decodePod reads the JSON of a Pod from the reader. While it decodes the Pod, it reserves memory from account. It
// reserves memory for the JSON, and separate memory for the decoded elements. A malicious cluster may send a small JSON
// text with many empty elements, which need far more memory after decoding.
func decodePod(from io.Reader, account *budget.Account) (*pod, error) {
	if err := account.Take(maxPodBytes); err != nil {
		return nil, envelope.OutOfMemory(err)
	}
	defer account.Give(maxPodBytes)
	text, err := io.ReadAll(io.LimitReader(from, maxPodBytes))
	if err != nil {
		return nil, objects.Unreadable(err)
	}
	p := &pod{}
	return p, decode(text, account, p)
}

// decode decodes JSON text into object, which must be a pointer. During the call, it reserves memory from account for
// the decoded elements. It returns an error if the memory would exceed a limit.
func decode(text []byte, account *budget.Account, object any) error {
	size := objects.DecodingBytes(text)
	if err := account.Take(size); err != nil {
		return envelope.OutOfMemory(err)
	}
	defer account.Give(size)
	if err := json.Unmarshal(text, object); err != nil {
		return objects.Unreadable(err)
	}
	return nil
}

// podOf decodes the fields of a Pod from o.
func podOf(o objects.Object, account *budget.Account) (*pod, error) {
	p := &pod{}
	for field, into := range map[string]any{"metadata": &p.Metadata, "spec": &p.Spec, "status": &p.Status} {
		if o[field] == nil {
			continue
		}
		if err := decode(o[field], account, into); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// started returns the names of the containers that run or have run, and therefore have a log.
func (p *pod) started() []string {
	var out []string
	for _, c := range p.Status.Containers {
		if c.State.Running != nil || c.State.Terminated != nil || c.Last.Terminated != nil {
			out = append(out, c.Name)
		}
	}
	return out
}

// isOver returns true if the container with the given name will not run again. An empty name means the only container
// of the Pod.
func (p *pod) isOver(name string) bool {
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
		return true
	}
	ended := func(c container) bool { return (c.Name == name || name == "") && c.State.Terminated != nil }
	if name != "" && slices.ContainsFunc(p.Status.Ephemeral, ended) {
		return true // ephemeral containers are never restarted
	}
	succeeded := func(c container) bool { return ended(c) && c.State.Terminated.ExitCode == 0 }
	if name != "" && slices.ContainsFunc(p.Status.Init, succeeded) {
		return true
	}
	return slices.ContainsFunc(p.Status.Containers, func(c container) bool {
		return ended(c) && (p.Metadata.DeletionTimestamp != nil || p.Spec.RestartPolicy == corev1.RestartPolicyNever ||
			p.Spec.RestartPolicy == corev1.RestartPolicyOnFailure && c.State.Terminated.ExitCode == 0)
	})
}
