// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// mayBeUnserved returns true if an error may mean that the cluster does not serve the resource of a call. A 404 that
// names the object means that the object does not exist.
func mayBeUnserved(call *Call, err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	s := status.Status()
	switch s.Code {
	case http.StatusMethodNotAllowed:
		return true
	case http.StatusNotFound:
		return call.Subresource != "" || s.Details == nil || s.Details.Name == ""
	default:
		return false
	}
}

// refreshCall returns the call for the version in which the cluster now serves the resource. It returns cause if the
// version has not changed.
func (r *resourceMapper) refreshCall(ctx context.Context, call Call, cause error) (Call, error) {
	known, err := r.confirmed(ctx)
	if err != nil {
		return call, err
	}
	found, ok := known.lookup(call.Resource.asked)
	subresource, _, _ := strings.Cut(call.Subresource, "/") // The subresource proxy is followed by a path.
	switch {
	case !ok:
		return call, cause
	case subresource != "" && !slices.Contains(found.Subresources, subresource):
		err := subresourceNotFound(&call)
		return call, err
	case found.GroupVersionResource == call.Resource.GroupVersionResource,
		found.Namespaced != call.Resource.Namespaced, !call.repeatable():
		return call, cause
	}
	call.Resource = found
	return call, nil
}

// repeatable returns true if the call has the same meaning in another version of its resource.
func (c *Call) repeatable() bool {
	switch types.PatchType(c.ContentType) {
	case types.MergePatchType, types.JSONPatchType, types.StrategicMergePatchType:
		return true
	default:
		return c.Body == nil
	}
}

func subresourceNotFound(call *Call) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
		Message: fmt.Sprintf("the cluster serves no %s of %s", call.Subresource,
			call.Resource.GroupVersionResource.Resource),
	}}
}
