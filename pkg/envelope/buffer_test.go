// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"testing"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
)

// TestBuffer verifies that a buffer returns each byte once and in order, and holds no more than its budget allows.
func TestBuffer(t *testing.T) {
	account := budget.New(8<<20).Account("holder", 0)
	b := NewBuffer(account)
	var want bytes.Buffer
	for n := range 200 {
		piece := bytes.Repeat([]byte{'1' + byte(n%9)}, 1+n*100)
		want.Write(piece)
		if _, err := b.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	recorder := httptest.NewRecorder()
	WriteData(t.Context(), recorder, append(append(Pieces{[]byte{'"'}}, b.Pieces()...), []byte{'"'}),
		dashboardv1alpha1.Meta{})
	var got struct{ Data string }
	if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil || got.Data != want.String() {
		t.Errorf("%d of %d bytes came back: %v", len(got.Data), want.Len(), err)
	}
	var err error
	for err == nil {
		_, err = b.Write(make([]byte, 1<<20))
	}
	if !errors.Is(err, budget.ErrExceeded) || As(err).Code != dashboardv1alpha1.CodeTooManyRequests {
		t.Errorf("a full account: %v", err)
	}
}
