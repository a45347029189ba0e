// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package topology

import (
	"encoding/json"
	"fmt"
)

const (
	pods      = "pods"
	services  = "services"
	ingresses = "ingresses"
)

// object is an object of any kind in a topology. The fields that its kind lacks are empty.
type object struct {
	plural string

	Metadata struct {
		Name            string            `json:"name"`
		Namespace       string            `json:"namespace"`
		UID             string            `json:"uid"`
		Labels          map[string]string `json:"labels"`
		OwnerReferences []struct {
			UID string `json:"uid"`
		} `json:"ownerReferences"`
	} `json:"metadata"`
	Spec   spec   `json:"spec"`
	Status status `json:"status"`
}

type spec struct {
	Replicas       *int64          `json:"replicas"`
	Suspend        bool            `json:"suspend"`
	Selector       serviceSelector `json:"selector"`
	DefaultBackend backend         `json:"defaultBackend"`
	Rules          []struct {
		HTTP struct {
			Paths []struct {
				Backend backend `json:"backend"`
			} `json:"paths"`
		} `json:"http"`
	} `json:"rules"`
}

type serviceSelector map[string]string

// UnmarshalJSON implements json.Unmarshaler. It ignores spec.selector of workloads, which has another type than
// spec.selector of a Service.
func (s *serviceSelector) UnmarshalJSON(raw []byte) error {
	var wanted map[string]string
	if json.Unmarshal(raw, &wanted) == nil {
		*s = wanted
	}
	return nil
}

// matches returns true if s is not empty and labels contain all its keys and values.
func (s serviceSelector) matches(labels map[string]string) bool {
	for key, value := range s {
		if has, ok := labels[key]; !ok || has != value {
			return false
		}
	}
	return len(s) > 0
}

type backend struct {
	Service struct {
		Name string `json:"name"`
	} `json:"service"`
}

type status struct {
	Phase                  string `json:"phase"`
	ReadyReplicas          int64  `json:"readyReplicas"`
	NumberReady            int64  `json:"numberReady"`
	DesiredNumberScheduled int64  `json:"desiredNumberScheduled"`
	Conditions             []struct {
		Type   string `json:"type"`
		Status string `json:"status"`
	} `json:"conditions"`
}

func (o *object) id() string { return o.plural + "/" + o.Metadata.Name }

func (o *object) status() string {
	switch o.plural {
	case pods:
		return o.Status.Phase
	case "deployments", "replicasets", "statefulsets":
		wanted := int64(1)
		if o.Spec.Replicas != nil {
			wanted = *o.Spec.Replicas
		}
		return fmt.Sprintf("%d/%d", o.Status.ReadyReplicas, wanted)
	case "daemonsets":
		return fmt.Sprintf("%d/%d", o.Status.NumberReady, o.Status.DesiredNumberScheduled)
	case "jobs":
		return o.jobStatus()
	case "cronjobs":
		if o.Spec.Suspend {
			return "Suspended"
		}
		return "Active"
	default:
		return ""
	}
}

func (o *object) jobStatus() string {
	for _, c := range o.Status.Conditions {
		if (c.Type == "Complete" || c.Type == "Failed") && c.Status == "True" {
			return c.Type
		}
	}
	return "Running"
}

// eachBackend calls visit with the name of each Service to which the Ingress o sends requests. It stops if visit
// returns false.
func (o *object) eachBackend(visit func(service string) bool) {
	if !visit(o.Spec.DefaultBackend.Service.Name) {
		return
	}
	for i := range o.Spec.Rules {
		for _, path := range o.Spec.Rules[i].HTTP.Paths {
			if !visit(path.Backend.Service.Name) {
				return
			}
		}
	}
}
