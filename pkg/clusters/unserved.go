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

// mayBeUnserved returns true if err may mean that the cluster does not serve the resource of the call. This is the case
// for the status 405, for a 404 that does not name an object, and for each 404 of a call to a subresource.
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

// refreshCall looks up the resource of a failed call again, and returns the call with the version that the cluster
// serves now. If the cluster does not serve the subresource, refreshCall returns a 404 error. It returns callErr, the
// error of the failed call, if one of the following conditions is true:
//
//   - The cluster serves no version of the resource.
//   - The cluster serves the same version as before.
//   - The call cannot be sent to another version.
func (r *resourceMapper) refreshCall(ctx context.Context, call Call, callErr error) (Call, error) {
	known, err := r.recent(ctx)
	if err != nil {
		return call, err
	}
	found, ok := known.lookup(call.Resource.asked)
	subresource, _, _ := strings.Cut(call.Subresource, "/") // The subresource proxy is followed by a path.
	switch {
	case !ok:
		return call, callErr
	case subresource != "" && !slices.Contains(found.Subresources, subresource):
		err := subresourceNotFound(&call)
		return call, err
	case found.GroupVersionResource == call.Resource.GroupVersionResource,
		found.Namespaced != call.Resource.Namespaced, !call.fitsAllVersions():
		return call, callErr
	}
	call.Resource = found
	return call, nil
}

// fitsAllVersions returns true if the call can be sent unchanged to another API version of the resource. This is
// possible without a body, and with a JSON patch or merge patch as the body.
func (c *Call) fitsAllVersions() bool {
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
