// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"cmp"
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/manifest"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
	"github.com/kubevision-io/kubevision/pkg/routes"
)

// preparePatch returns the write for a PATCH request. As in Kubernetes, the Content-Type determines the type of the
// patch.
func preparePatch(r *routes.Request, caller *clusters.Client) (*write, error) {
	force, err := flag(r, queryForce)
	if err != nil {
		return nil, err
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		mediaType = ""
	}
	switch kind := types.PatchType(mediaType); kind {
	case types.ApplyYAMLPatchType:
		return prepareApply(r, caller, force)
	case types.JSONPatchType, types.MergePatchType, types.StrategicMergePatchType:
		if force {
			return nil, envelope.Invalid(queryForce, "force is for %s only", types.ApplyYAMLPatchType)
		}
		return prepareChange(r, caller, kind)
	default:
		return nil, envelope.Invalid("Content-Type", "send a patch as %s, %s, %s or %s",
			types.ApplyYAMLPatchType, types.MergePatchType, types.StrategicMergePatchType, types.JSONPatchType)
	}
}

// prepareApply returns the write that applies the manifest in the body. If force is true, the write takes over fields
// that other managers own.
func prepareApply(r *routes.Request, caller *clusters.Client, force bool) (*write, error) {
	r.Header.Set("Content-Type", manifest.YAML)
	t, object, err := readManifest(r, caller, "patch")
	if err != nil {
		return nil, err
	}
	return object.newApply(r.Context(), caller, t, force)
}

// newApply returns the write that applies the manifest. In the manifest of a Secret, it replaces placeholders such as
// objects.Masked with the stored values.
func (m manifestObject) newApply(
	ctx context.Context,
	caller *clusters.Client,
	t objectref.Target,
	force bool,
) (*write, error) {
	if objects.IsSecret(t.Resource) {
		// If the value of kubectl's last-applied annotation is a placeholder, dropAnnotation removes the annotation.
		// Without this call, restore would replace the placeholder with the stored value, and the write would take over
		// the annotation.
		m.dropAnnotation()
		err := m.restore(ctx, caller, t)
		if err != nil && envelope.As(err).Code == dashboardv1alpha1.CodeNotFound { // the apply creates the object
			err = m.checkNewSecret()
		}
		if err != nil {
			return nil, err
		}
	}
	// The write requires the right to create the object only if the object does not exist.
	w, err := m.newWrite(t, http.MethodPatch, "patch", "create")
	if err != nil {
		return nil, err
	}
	w.call.ContentType = string(types.ApplyYAMLPatchType)
	if force {
		w.call.Query.Set(queryForce, "true")
	}
	return w, nil
}

// prepareChange returns the write for a JSON patch, a merge patch or a strategic merge patch.
func prepareChange(r *routes.Request, caller *clusters.Client, kind types.PatchType) (*write, error) {
	t, err := objectref.ReadObject(r, caller, "patch")
	if err != nil {
		return nil, err
	}
	body, err := r.ReadBody()
	if err != nil {
		return nil, err
	}
	w := &write{Target: t, call: t.Call(http.MethodPatch), verbs: []string{"patch"}}
	var malformed error
	err = r.Decode(len(body), func() {
		if kind == types.JSONPatchType {
			w.call.Body, w.confidential, malformed = checkOperations(body, objects.IsSecret(t.Resource))
		} else {
			w.call.Body, w.confidential, malformed = checkMerge(body, t)
		}
	})
	if err := cmp.Or(err, malformed); err != nil {
		return nil, err
	}
	w.call.Query, w.call.ContentType = writeQuery(), string(kind)
	return w, nil
}

// checkMerge checks a merge patch or a strategic merge patch. It returns the patch to send, and the confidential values
// in it. From a patch of a Secret, it removes placeholders (see isPlaceholder). It returns an error if the patch is
// malformed or changes the identity of t.
func checkMerge(body []byte, t objectref.Target) ([]byte, []string, error) {
	var patch map[string]any
	if err := routes.DecodeJSON(body, &patch); err != nil {
		return nil, nil, err
	}
	if patch == nil {
		return nil, nil, envelope.Invalid("body", "the patch must be a JSON object, not null")
	}
	m := manifestObject(patch)
	for field, inURL := range map[string]string{"apiVersion": t.Resource.GroupVersion().String(),
		"kind": t.Resource.Kind} {
		if value, ok := m[field]; ok && value != inURL {
			return nil, nil, envelope.Invalid(
				field,
				"the object is of %s %s, which a patch cannot change",
				t.Resource.GroupVersion(),
				t.Resource.Kind,
			)
		}
	}
	for field, inURL := range map[string]string{"name": t.Name, "namespace": t.Namespace} {
		if value, ok := m.metadata()[field]; ok && value != inURL {
			return nil, nil, envelope.Invalid(
				"metadata."+field,
				"the %s of the object is %q, which a patch cannot change",
				field,
				inURL,
			)
		}
	}
	if !objects.IsSecret(t.Resource) {
		return body, nil, nil
	}
	if err := m.dropPlaceholders(); err != nil {
		return nil, nil, err
	}
	encoded, err := objects.Encode(m)
	return encoded, m.secretValues(), err
}

// operation is one operation of a JSON patch (RFC 6902).
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	From  *string         `json:"from,omitempty"`
	Value json.RawMessage `json:"value,omitempty"`
}

func checkOperations(body []byte, secret bool) ([]byte, []string, error) {
	var operations []operation
	if err := routes.DecodeJSON(body, &operations); err != nil {
		return nil, nil, err
	}
	var confidential []string
	for _, o := range operations {
		switch {
		case o.Op == "":
			return nil, nil, envelope.Required("op")
		case !slices.Contains([]string{"add", "remove", "replace", "move", "copy", "test"}, o.Op):
			return nil, nil, envelope.Invalid("op", "%q is not an operation of a JSON patch", o.Op)
		case o.Path == "":
			return nil, nil, envelope.Required("path")
		}
		if secret {
			values, err := o.secretValues()
			if err != nil {
				return nil, nil, err
			}
			confidential = append(confidential, values...)
		}
	}
	return body, confidential, nil
}

// secretValues returns the values that an operation of a JSON patch writes to a Secret. It returns an error if the
// operation is not allowed for Secrets.
func (o operation) secretValues() ([]string, error) {
	const data = "/" + fieldData + "/"
	// A move or a copy could write a confidential value to a field that is not masked in responses.
	if o.From != nil && (!strings.HasPrefix(*o.From, data) || !strings.HasPrefix(o.Path, data)) {
		return nil, envelope.Invalid(
			"from",
			"a patch of a Secret may move and copy values only within %s: elsewhere they are not masked",
			fieldData,
		)
	}
	if len(o.Value) == 0 {
		return nil, nil
	}
	var value any
	if err := json.Unmarshal(o.Value, &value); err != nil {
		return nil, envelope.Invalid("value", "the value of an operation is not JSON")
	}
	found := textsIn(value)
	if slices.ContainsFunc(found, func(text string) bool { return isPlaceholder(text) || isDiffersText(text) }) {
		return nil, envelope.Invalid("body", "a masked value cannot be written: leave it out of the patch")
	}
	return found, nil
}
