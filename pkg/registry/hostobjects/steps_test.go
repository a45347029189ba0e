// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package hostobjects_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/envelope"
	"github.com/kubevision-io/kubevision/pkg/registry/hostobjects"
)

type history []string

func (h *history) step(name string, do, undo error) hostobjects.Step {
	note := func(what string, err error) func(context.Context, client.Client) error {
		return func(context.Context, client.Client) error {
			*h = append(*h, what+" "+name)
			return err
		}
	}
	return hostobjects.Step{Object: name, Do: note("do", do), Undo: note("undo", undo)}
}

func TestDo(t *testing.T) {
	refused := envelope.New(dashboardv1alpha1.CodeForbidden, "you may not")
	broken := errors.New("secret cause")
	for name, tc := range map[string]struct {
		third, undo error
		want        []string
		message     string
	}{
		"all is well":    {nil, nil, []string{"do a", "do b", "do c"}, ""},
		"the last fails": {refused, nil, []string{"do a", "do b", "do c", "undo b", "undo a"}, "you may not"},
		"and cannot be undone": {refused, broken, []string{"do a", "do b", "do c", "undo b", "undo a"},
			"you may not; and this could not be reverted: b"},
		"an unexpected error": {broken, nil, []string{"do a", "do b", "do c", "undo b", "undo a"},
			"internal server error: report the request id to your administrator"},
	} {
		t.Run(name, func(t *testing.T) {
			var h history
			err := (&hostobjects.Client{}).Execute(t.Context(), h.step("a", nil, nil), h.step("b", nil, tc.undo),
				h.step("c", tc.third, nil))
			if !slices.Equal(h, tc.want) {
				t.Errorf("done was %v, want %v", []string(h), tc.want)
			}
			if err == nil {
				if tc.message != "" {
					t.Error("no error")
				}
				return
			}
			if message := envelope.As(err).Message; message != tc.message || strings.Contains(message, "secret cause") {
				t.Errorf("the message is %q, want %q", message, tc.message)
			}
		})
	}
}

func TestUndoOutlivesItsRequest(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	undone := false
	first := hostobjects.Step{
		Do:   func(context.Context, client.Client) error { return nil },
		Undo: func(ctx context.Context, _ client.Client) error { undone = ctx.Err() == nil; return nil },
	}
	second := hostobjects.Step{Do: func(context.Context, client.Client) error {
		cancel()
		return context.Canceled
	}}
	if err := (&hostobjects.Client{}).Execute(ctx, first, second); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if !undone {
		t.Error("nothing was taken back")
	}
}
