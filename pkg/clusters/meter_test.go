// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestScanner verifies the estimated memory of the objects that a cluster sends:
//   - Very many objects of any size exceed the memory limit for cached objects.
//   - 50,000 typical RoleBindings, which KubeVision creates on a cluster, do not exceed this memory limit.
//   - A response is rejected if it is too large or too deeply nested.
func TestScanner(t *testing.T) {
	limits := ControllerLimits(NewPool(DefaultMemberCacheBytes), time.Time{})
	for name, test := range map[string]struct {
		event string
		times int64
	}{
		"nothing":     {`null,`, 1_000_000},
		"empty":       {`{},`, 1_000_000},
		"named":       {`{"type":"ADDED","object":{"metadata":{"name":"a"}}}`, 1_000_000},
		"in a string": {`{"a":"` + strings.Repeat(`{[,\"`, 1000) + `"}`, 100_000},
		"long labels": {`{"labels":{"` + strings.Repeat("a", 63) + `":"` + strings.Repeat("a", 63) + `"}}`, 1_000_000},
		"many labels": {`{"metadata":{"labels":{` + strings.Repeat(`"l":"v",`, 499) + `"l":"v"}}}`, 3_500},
		"a long text": {`{"a":"` + strings.Repeat("a", 1<<20) + `"}`, 145},
	} {
		s := scanner{limit: 1 << 40}
		open, _ := s.scan([]byte(`{"items":[`))
		cost, fits := s.scan([]byte(test.event))
		if total := open + cost*test.times; !fits || total <= limits.Kept {
			t.Errorf("%s: %d times cost %d MiB", name, test.times, total>>20)
		}
	}
	binding, err := json.Marshal(map[string]any{"type": "ADDED", "object": roleBinding()})
	if err != nil {
		t.Fatal(err)
	}
	s := scanner{limit: limits.Response}
	cost, fits := s.scan(binding)
	t.Logf("50,000 RoleBindings of %d bytes cost %d MiB", len(binding), cost*50_000>>20)
	if total := cost * 50_000; !fits || total > limits.Kept {
		t.Errorf("50,000 RoleBindings of %d bytes cost %d MiB", len(binding), total>>20)
	}
	if s.bytes != 0 || len(s.open) != 0 {
		t.Errorf("the scanner has not seen the end of the event: %+v", s)
	}
	for name, text := range map[string]string{
		"too large": strings.Repeat(" ", int(limits.Response)+1), "too deep": strings.Repeat("[", maxDepth+1),
	} {
		s := scanner{limit: limits.Response}
		if _, fits := s.scan([]byte(text)); fits {
			t.Errorf("%s: it fits", name)
		}
	}
}

func roleBinding() *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		TypeMeta: metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "kubevision:team-of-the-web-shop-1234", Namespace: "web-shop-production-1",
			UID: "0b9c8a9e-3c0b-4c1e-9b1d-0123456789ab", ResourceVersion: "1234567",
			Labels: map[string]string{"app.kubernetes.io/managed-by": "kubevision",
				"kubevision.io/role-binding": "team-of-the-web-shop-1234"},
			ManagedFields: []metav1.ManagedFieldsEntry{{
				Manager: "kubevision-controller-manager", Operation: "Apply",
				APIVersion: "rbac.authorization.k8s.io/v1", FieldsType: "FieldsV1",
				FieldsV1: metav1.NewFieldsV1(
					`{"f:metadata":{"f:labels":{"f:app.kubernetes.io/managed-by":{},` +
						`"f:kubevision.io/role-binding":{}}},"f:roleRef":{},"f:subjects":{}}`),
			}},
		},
		Subjects: []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "User", Name: "kubevision:alice"},
			{APIGroup: "rbac.authorization.k8s.io", Kind: "Group", Name: "kubevision:group:web-team"}},
		RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole",
			Name: "kubevision:readonly"},
	}
}

// TestMeter verifies the memory limits for the responses of one cluster:
//   - A response that is too large fails.
//   - A response that the caller does not cache counts only until the caller drops the response.
//   - When the cached objects need too much memory, the cluster is disconnected, and further requests fail.
func TestMeter(t *testing.T) {
	body, err := json.Marshal(corev1.NamespaceList{Items: make([]corev1.Namespace, 100)})
	if err != nil {
		t.Fatal(err)
	}
	exceeded := make(chan struct{})
	contentType := mediaTypeJSON
	pool := NewPool(DefaultMemberCacheBytes)
	spent := pool.join(100_000, time.Time{}, func() { close(exceeded) })
	m := &meter{response: 1 << 20, share: spent, next: answering(func(r *http.Request) (*http.Response, error) {
		if got := r.Header.Get("Accept"); got != "application/json;as=Table,application/json" {
			t.Errorf("it asks for %q", got)
		}
		if r.URL.RawQuery != "limit=500" {
			t.Errorf("the query is %q", r.URL.RawQuery)
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {contentType}},
			Body: io.NopCloser(strings.NewReader(string(body)))}, nil
	})}
	send := func(r *http.Request) error {
		r.Header.Set("Accept",
			"application/vnd.kubernetes.protobuf;as=Table,application/json;as=Table, application/json")
		response, err := m.RoundTrip(r)
		if err != nil {
			return err
		}
		_, err = io.ReadAll(response.Body)
		return errors.Join(err, response.Body.Close())
	}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet,
		"/api/v1/namespaces?limit=500&resourceVersion=0", nil)
	for range 20 {
		ctx, drop := WithTransientMemory(t.Context())
		if err := send(request.WithContext(ctx)); err != nil {
			t.Fatal(err)
		}
		drop()
	}
	if spent.spent != 0 || pool.spent != 0 {
		t.Errorf("%d are spent, %d of the pool", spent.spent, pool.spent)
	}
	m.response = int64(len(body)) - 1
	ctx, drop := WithTransientMemory(t.Context())
	if err := send(request.WithContext(ctx)); !errors.Is(err, ErrTooLarge) || spent.isDisconnected() {
		t.Errorf("a response that is too large: %v, over %t", err, spent.isDisconnected())
	}
	drop()
	m.response = 1 << 20
	contentType = "application/vnd.kubernetes.protobuf"
	if err := send(request); err == nil {
		t.Error("protobuf was read")
	}
	contentType = mediaTypeJSON
	for err = range repeat(20, func() error { return send(request) }) {
		if err != nil {
			break
		}
	}
	if !errors.Is(err, errTooMuchCached) || !errors.Is(send(request), errTooMuchCached) {
		t.Errorf("%v, want %v", err, errTooMuchCached)
	}
	select {
	case <-exceeded:
	case <-time.After(10 * time.Second):
		t.Error("nobody was told")
	}
}

func repeat(times int, f func() error) func(func(error) bool) {
	return func(yield func(error) bool) {
		for range times {
			if !yield(f()) {
				return
			}
		}
	}
}
