// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/fanout"
	"github.com/kubevision-io/kubevision/pkg/objects"
)

// isNamespaces returns true if r is the resource namespaces in the core API group.
func isNamespaces(r clusters.Resource) bool {
	return r.Group == corev1.GroupName && r.GroupVersionResource.Resource == "namespaces"
}

// getEachNamespace gets the Namespace objects that the caller may get, with one request for each. Each body in the
// Result is a list or Table with at most one Namespace.
func (c *Client) getEachNamespace(ctx context.Context, call clusters.Call) (Result, error) {
	selected, err := readSelectors(call.Query)
	if err != nil {
		return Result{}, err
	}
	names, err := c.Namespaces(ctx)
	if err != nil {
		return Result{}, err
	}
	bodies, omitted := make([][]byte, len(names)), newOmissions(call.Resource.GroupVersionResource.Resource)
	err = fanout.Each(ctx, len(names), CallsAtOnce, func(ctx context.Context, i int) error {
		one := clusters.Call{Resource: call.Resource, Name: names[i]} // the other media types are for lists
		if call.Accept == objects.TableOnly {
			one.Accept, one.Query = call.Accept, url.Values{objects.IncludeObject: {objects.WholeObject}}
		}
		answer, err := c.Do(ctx, one)
		if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		list := selected.toList
		if call.Accept == objects.TableOnly {
			list = selected.tableFilter(call.Resource)
		}
		bodies[i], err = list(answer.Body, budget.AccountFrom(ctx)) // empty if the selectors do not match
		if errors.Is(err, objects.ErrTooLarge) {
			omitted.Add("", names[i])
			return nil
		}
		return err
	})
	if err != nil {
		return Result{}, err
	}
	out := partialResult(names, bodies)
	out.Omitted = omitted
	return out, nil
}

// partialResult returns a partial Result, and omits bodies that are nil. namespaces[i] is the namespace of bodies[i]. A
// body is nil if, for example, the caller may not list the namespace.
func partialResult(namespaces []string, bodies [][]byte) Result {
	out := Result{Partial: true}
	for i, body := range bodies {
		if body != nil {
			out.Bodies, out.Namespaces = append(out.Bodies, body), append(out.Namespaces, namespaces[i])
		}
	}
	return out
}

// selectors contains the label selector and the field selector of a list of Namespaces.
type selectors struct {
	labels labels.Selector
	fields fields.Selector
}

// readSelectors parses the parameters labelSelector and fieldSelector of a list of Namespaces. It returns a BadRequest
// error for a malformed selector or an unsupported field, like an API server.
func readSelectors(query url.Values) (selectors, error) {
	byLabels, labelsErr := labels.Parse(query.Get("labelSelector"))
	byFields, fieldsErr := fields.ParseSelector(query.Get("fieldSelector"))
	if err := errors.Join(labelsErr, fieldsErr); err != nil {
		return selectors{}, apierrors.NewBadRequest(err.Error())
	}
	supported := fieldsOf(&corev1.Namespace{})
	for _, requirement := range byFields.Requirements() {
		if !supported.Has(requirement.Field) {
			return selectors{}, apierrors.NewBadRequest(fmt.Sprintf("field label not supported: %s", requirement.Field))
		}
	}
	return selectors{labels: byLabels, fields: byFields}, nil
}

// fieldsOf returns the fields of n that field selectors support.
func fieldsOf(n *corev1.Namespace) fields.Set {
	return fields.Set{"metadata.name": n.Name, "status.phase": string(n.Status.Phase)}
}

// readNamespace contains the fields of a Namespace that selectors can match.
type readNamespace struct {
	Metadata struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Status struct {
		Phase corev1.NamespacePhase `json:"phase"`
	} `json:"status"`
}

// match returns true if both selectors match the Namespace whose JSON is body.
func (s selectors) match(body []byte, account *budget.Account) (matches bool, err error) {
	if s.labels.Empty() && s.fields.Empty() {
		return true, nil
	}
	err = objects.SmallItem(body, account, func(found *readNamespace) error {
		n := corev1.Namespace{Status: corev1.NamespaceStatus{Phase: found.Status.Phase}}
		n.Name = found.Metadata.Name
		matches = s.labels.Matches(labels.Set(found.Metadata.Labels)) && s.fields.Matches(fieldsOf(&n))
		return nil
	})
	return matches, err //nolint:wrapcheck // it has its code
}

// toList returns the JSON of a NamespaceList that contains one Namespace. The parameter body is the JSON of the
// Namespace. If the selectors do not match the Namespace, the NamespaceList is empty. The memory of the NamespaceList
// is charged to account.
func (s selectors) toList(body []byte, account *budget.Account) ([]byte, error) {
	matches, err := s.match(body, account)
	if err != nil {
		return nil, err
	}
	const begin, end = `{"kind":"NamespaceList","apiVersion":"v1","metadata":{},"items":[`, `]}`
	if !matches {
		return []byte(begin + end), nil
	}
	if err := account.Take(int64(len(body))); err != nil {
		return nil, fmt.Errorf("listing a namespace: %w", err)
	}
	return slices.Concat([]byte(begin), body, []byte(end)), nil
}

func (s selectors) tableFilter(r clusters.Resource) func(body []byte, account *budget.Account) ([]byte, error) {
	return func(body []byte, account *budget.Account) ([]byte, error) {
		matches := false // The Table has one row with one Namespace.
		_, _, err := objects.ReadTable(bytes.NewReader(body), r, account, func(row objects.Row) error {
			namespace, err := row.Object.Encode()
			if err == nil {
				matches, err = s.match(namespace, account)
			}
			return err //nolint:wrapcheck // it has its code
		})
		if err != nil || matches {
			return body, err //nolint:wrapcheck // as above
		}
		return objects.WithoutRows(body) //nolint:wrapcheck // as above
	}
}
