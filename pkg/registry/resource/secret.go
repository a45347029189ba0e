// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubevision-io/kubevision/pkg/authorization"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/objects"
	"github.com/kubevision-io/kubevision/pkg/redaction"
	"github.com/kubevision-io/kubevision/pkg/registry/objectref"
)

const (
	fieldData       = "data"
	fieldStringData = "stringData"
)

// isPlaceholder returns true if value is objects.Masked or objects.MaskedBase64. Responses contain these placeholders
// instead of the values of a Secret. In a request, a placeholder stands for the value that the Secret stores.
func isPlaceholder(value any) bool {
	return value == objects.Masked || value == objects.MaskedBase64
}

// isDiffersText returns true if value is objects.Differs or objects.DiffersBase64. In the results of dry runs and
// comparisons, these texts replace values of Secrets that differ.
func isDiffersText(value any) bool {
	return value == objects.Differs || value == objects.DiffersBase64
}

func (m manifestObject) refuseDiffersTexts() error {
	for _, field := range []string{fieldData, fieldStringData} {
		values, _ := m[field].(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if isDiffersText(values[key]) {
				return placeholderError(field, key)
			}
		}
	}
	if isDiffersText(m.annotations()[corev1.LastAppliedConfigAnnotation]) {
		return placeholderError("metadata.annotations", corev1.LastAppliedConfigAnnotation)
	}
	return nil
}

// placeholders examines the map in one field of the manifest, such as data. It returns the keys whose values are
// placeholders, in sorted order.
func (m manifestObject) placeholders(field string) []string {
	values, _ := m[field].(map[string]any)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(values)), func(key string) bool {
		return !isPlaceholder(values[key])
	})
}

func (m manifestObject) annotations() map[string]any {
	annotations, _ := m.metadata()["annotations"].(map[string]any)
	return annotations
}

// checkNewSecret returns an error if a value is a placeholder such as objects.Masked. A new Secret has no stored values
// that could replace placeholders.
func (m manifestObject) checkNewSecret() error {
	if err := m.refuseDiffersTexts(); err != nil {
		return err
	}
	for _, field := range []string{fieldData, fieldStringData} {
		for _, key := range m.placeholders(field) {
			return placeholderError(field, key)
		}
	}
	m.dropAnnotation() // a placeholder in the annotation of kubectl apply is no error
	return nil
}

func placeholderError(field, key string) error {
	name := field + "." + key
	return envelope.Invalid(name,
		"%s is masked, and the Secret has no value to replace the mask: send the value itself", name)
}

// dropPlaceholders removes placeholders such as objects.Masked from a patch of a Secret, so that the patch does not
// change the stored values. It returns an error if the patch contains both a placeholder and the directive $patch,
// which could delete the stored value.
func (m manifestObject) dropPlaceholders() error {
	const directive = "$patch" // directive of a strategic merge patch
	if err := m.refuseDiffersTexts(); err != nil {
		return err
	}
	for _, field := range []string{fieldData, fieldStringData} {
		values, _ := m[field].(map[string]any)
		for _, key := range m.placeholders(field) {
			if m[directive] != nil || values[directive] != nil {
				return placeholderError(field, key)
			}
			delete(values, key)
		}
	}
	m.dropAnnotation()
	return nil
}

func (m manifestObject) dropAnnotation() {
	if isPlaceholder(m.annotations()[corev1.LastAppliedConfigAnnotation]) {
		delete(m.annotations(), corev1.LastAppliedConfigAnnotation)
	}
}

// storedSecret contains the resourceVersion of a Secret, and the fields that are masked in responses.
type storedSecret struct {
	Metadata struct {
		ResourceVersion string            `json:"resourceVersion"`
		Annotations     map[string]string `json:"annotations"`
	} `json:"metadata"`
	Data map[string][]byte `json:"data"`
}

// restore replaces placeholders such as objects.Masked in the manifest with the values of the stored Secret. The caller
// must have the right to get the Secret.
func (m manifestObject) restore(ctx context.Context, caller *clusters.Client, t objectref.Target) error {
	if err := m.refuseDiffersTexts(); err != nil {
		return err
	}
	inData, inStringData := m.placeholders(fieldData), m.placeholders(fieldStringData)
	masked := isPlaceholder(m.annotations()[corev1.LastAppliedConfigAnnotation])
	if len(inData) == 0 && len(inStringData) == 0 && !masked {
		return nil
	}
	body, err := caller.Get(ctx, t.Resource, t.Namespace, t.Name, nil)
	if err := authorization.CallError(ctx, caller, t.Attributes("get"), err); err != nil {
		return err
	}
	var current storedSecret
	if err := objects.Read(body, budget.AccountFrom(ctx), &current); err != nil {
		if errors.Is(err, budget.ErrExceeded) {
			return envelope.OutOfMemory(err)
		}
		return objects.Unreadable(errors.New("a secret cannot be decoded")) // an error without the values
	}
	// Another client may change the Secret before the write. With the resourceVersion, the API server then rejects the
	// write, which would overwrite the new values with old ones.
	if version, ok := m.metadata()["resourceVersion"]; !ok || version == "" {
		m.metadata()["resourceVersion"] = current.Metadata.ResourceVersion
	}
	for field, keys := range map[string][]string{fieldData: inData, fieldStringData: inStringData} {
		if err := m.fill(field, keys, current.Data); err != nil {
			return err
		}
	}
	if masked {
		const applied = corev1.LastAppliedConfigAnnotation
		m.annotations()[applied] = current.Metadata.Annotations[applied]
	}
	return nil
}

func (m manifestObject) fill(field string, keys []string, current map[string][]byte) error {
	values, _ := m[field].(map[string]any)
	for _, key := range keys {
		value, ok := current[key]
		if !ok {
			return placeholderError(field, key)
		}
		delete(values, key) // set data instead of stringData, because a value may be binary
		if m[fieldData] == nil {
			m[fieldData] = map[string]any{}
		}
		data, ok := m[fieldData].(map[string]any)
		if !ok {
			return envelope.Invalid(fieldData, "%s must be an object", fieldData)
		}
		data[key] = base64.StdEncoding.EncodeToString(value)
	}
	return nil
}

// secretValues returns the confidential values in the manifest of a Secret.
func (m manifestObject) secretValues() []string {
	return slices.Concat(textsIn(m[fieldData]), textsIn(m[fieldStringData]),
		textsIn(m.annotations()[corev1.LastAppliedConfigAnnotation]))
}

// textsIn returns all strings and numbers in value, and the base64 forms of the strings.
func textsIn(value any) []string {
	var out []string
	switch v := value.(type) {
	case string: // messages may contain the string, its base64 encoding, or the text that it encodes
		out = append(out, v, base64.StdEncoding.EncodeToString([]byte(v)))
		if decoded, err := base64.StdEncoding.DecodeString(v); err == nil && len(decoded) > 0 {
			out = append(out, string(decoded))
		}
	case map[string]any:
		for _, each := range v {
			out = append(out, textsIn(each)...)
		}
	case []any:
		for _, each := range v {
			out = append(out, textsIn(each)...)
		}
	case nil:
	default:
		out = append(out, fmt.Sprint(v))
	}
	return out
}

// redactor returns a Redactor that removes the confidential values from messages. It returns nil if there are no
// confidential values. It returns an error if ctx ends before the Redactor is ready.
func redactor(ctx context.Context, confidential []string) (*redaction.Redactor, error) {
	if len(confidential) == 0 {
		return nil, nil //nolint:nilnil // there are no values to remove
	}
	r, ok := redaction.New(confidential, ctx.Err)
	if !ok {
		return nil, fmt.Errorf("looking for values of the Secret: %w", context.Cause(ctx))
	}
	return r, nil
}

// withhold returns a copy of an envelope.Error without the confidential values in Message and Field. The copy does not
// wrap the cause of err, because the log could then contain these values. withhold returns all other errors unchanged.
func withhold(ctx context.Context, err error, confidential []string) error {
	e, ok := errors.AsType[*envelope.Error](err)
	if !ok || len(confidential) == 0 {
		return err
	}
	out := *e
	r, failed := redactor(ctx, confidential)
	if failed != nil {
		out.Message, out.Field = redaction.General, ""
		return out.WithCause(failed)
	}
	out.Message, out.Field = r.Text(e.Message, ctx.Err), r.Text(e.Field, ctx.Err)
	if out.Field == redaction.General {
		out.Field = ""
	}
	return out.WithCause(errors.New("withheld, since it is about a Secret"))
}

// redactWarnings replaces the confidential values in the warnings by redaction.Placeholder, and returns the result. It
// returns an error if ctx ends first.
func redactWarnings(ctx context.Context, warnings, confidential []string) ([]string, error) {
	if len(warnings) == 0 {
		return warnings, nil
	}
	r, err := redactor(ctx, confidential)
	if r == nil || err != nil {
		return warnings, err
	}
	out := make([]string, 0, len(warnings))
	for _, warning := range warnings {
		out = append(out, r.Text(warning, ctx.Err))
	}
	return out, nil
}
