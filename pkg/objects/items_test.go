// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

func accountOf(bytes int64) *budget.Account { return budget.New(2*bytes).Account("holder", bytes) }

func pods(t *testing.T, count int) []byte {
	t.Helper()
	var list corev1.PodList
	for i := range count {
		list.Items = append(list.Items, corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: strconv.Itoa(i), Labels: map[string]string{"app": "web"}},
			Spec:       corev1.PodSpec{Containers: make([]corev1.Container, 3)},
		})
	}
	raw, err := list.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	body, err := (&runtime.Unknown{Raw: raw}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte(protobufPrefix), body...)
}

// TestEachProtobuf verifies that EachProtobuf reads all objects of an encoded PodList. A truncated list must cause an
// error.
func TestEachProtobuf(t *testing.T) {
	const count = 1000
	list, ok := Protobuf(pods(t, count))
	if !ok {
		t.Fatal("it is not taken for protobuf")
	}
	account := accountOf(4 << 20)
	read := 0
	err := EachProtobuf(list, account, nil, func(item []byte) error {
		var pod corev1.Pod
		if err := pod.Unmarshal(item); err != nil || pod.Name != strconv.Itoa(read) || len(pod.Spec.Containers) != 3 {
			t.Errorf("pod %q: %v", pod.Name, err)
		}
		read++
		return nil
	})
	if err != nil || read != count {
		t.Errorf("%d of %d were read: %v", read, count, err)
	}
	if _, ok := Protobuf([]byte(`{"items":[]}`)); ok {
		t.Error("JSON is taken for protobuf")
	}
	if err := EachProtobuf(list[:len(list)-1], account, nil, func([]byte) error { return nil }); err == nil {
		t.Error("half a list is read")
	}
}

// TestEach verifies that Each decodes JSON integers as integers, and reads null as an empty list. A malformed list must
// cause an error.
func TestEach(t *testing.T) {
	var got []any
	visit := func(o *map[string]any) error {
		got = append(got, (*o)["n"])
		return nil
	}
	for _, body := range []string{`{"items":null}`, `{"kind":"List","items":[{"n":1},{"n":1.5}],"metadata":{}}`} {
		if err := Each([]byte(body), nil, nil, visit); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	if len(got) != 2 || got[0] != int64(1) || got[1] != 1.5 {
		t.Errorf("got %v", got)
	}
	for _, body := range []string{"", "[]", `{"items":{}}`, `{"items":[{}`, `{"items":[{"n":}]}`} {
		if err := Each([]byte(body), nil, nil, visit); err == nil {
			t.Errorf("%q is read", body)
		}
	}
}

// TestElementsAreCharged verifies that the memory of decoded values counts toward a memory limit, at any position in an
// object of a list. Decoding can turn a few bytes of a response into a large value.
func TestElementsAreCharged(t *testing.T) {
	const bytes = 256 << 10
	nothing := func(*corev1.Pod) error { return nil }
	flat := `{"items":[{}` + strings.Repeat(",{}", bytes/3) + `]}`
	nested := `{"items":[{"spec":{"containers":[{}` + strings.Repeat(",{}", bytes/3) + `]}}]}`
	if err := Each([]byte(flat), accountOf(1<<20), nil, nothing); err != nil {
		t.Errorf("small objects that are not kept: %v", err)
	}
	nulls := `{"items":[{"spec":{"containers":[null` + strings.Repeat(",null", bytes/5) + `]}}]}`
	for name, list := range map[string]string{"objects": nested, "nulls": nulls} {
		if err := Each([]byte(list), accountOf(16<<20), nil, nothing); !errors.Is(err, budget.ErrExceeded) {
			t.Errorf("a large object of %s: %v", name, err)
		}
	}
	const depth = 900
	arrays := strings.Repeat(strings.Repeat("[", depth)+strings.Repeat("]", depth)+",", bytes/2/depth)
	list := `{"items":[{"spec":[` + arrays + `0]}]}`
	untyped := func(*struct{ Spec any }) error { return nil }
	if err := Each([]byte(list), accountOf(16<<20), nil, untyped); !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("arrays in arrays: %v", err)
	}
	_, err := Items[struct{ Spec [64]int64 }]([]byte(flat), accountOf(16<<20), ignore)
	if !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("many objects that are kept: %v", err)
	}
	labels := func(bytes int) string {
		var b strings.Builder
		for b.Len() < bytes {
			fmt.Fprintf(&b, `"%x":"",`, b.Len())
		}
		return `{"labels":{` + b.String() + `"last":""}}`
	}
	for name, items := range map[string]string{
		"one with many labels":  labels(bytes),
		"many with some labels": labels(2<<10) + strings.Repeat(","+labels(2<<10), bytes/(2<<10)),
	} {
		_, err := Items[struct {
			Labels map[string]string `json:"labels"`
		}]([]byte(`{"items":[`+items+`]}`), accountOf(3*bytes), nil)
		if !errors.Is(err, budget.ErrExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	account := accountOf(16 << 20)
	err = Each([]byte(flat), account, ignore, func(p *corev1.Pod) error { return HoldItem(account, p) })
	if !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("many Pods that are kept: %v", err)
	}
	containers := []byte(strings.Repeat("\x12\x00", bytes/2)) // field 2 of the spec, which is field 2 of the Pod
	pod := corev1.Pod{}
	item := append([]byte{0x12}, append(varint(len(containers)), containers...)...)
	if err := pod.Unmarshal(item); err != nil || len(pod.Spec.Containers) != bytes/2 {
		t.Fatalf("%d containers: %v", len(pod.Spec.Containers), err)
	}
	message := append([]byte{0x12}, append(varint(len(item)), item...)...)
	err = EachProtobuf(message, accountOf(16<<20), nil, func([]byte) error { return nil })
	if !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("a large object in protobuf: %v", err)
	}
	large := `{"items":[{"metadata":{"name":"` + strings.Repeat("x", 4<<20) + `"}}]}`
	_, err = ReadList(strings.NewReader(large), kind("", "v1", "pods", "Pod"), accountOf(8<<20), func(Object) error {
		return nil
	})
	if !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("a large object of a list that is passed on: %v", err)
	}
}

func ignore(string, string) {}

// largePod returns a Pod whose decoding takes more memory than is allowed for one object. An API server would accept
// this Pod.
func largePod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Args: make([]string, 200_000)}}},
	}
}

// TestTooLargeObjectIsOmitted verifies that an object whose decoding needs too much memory is omitted from a list. The
// namespace and the name of the omitted object must be reported. The other objects must be read.
func TestTooLargeObjectIsOmitted(t *testing.T) {
	list := corev1.PodList{Items: []corev1.Pod{*largePod("first"), {}, *largePod("last")}}
	list.Items[1].Name = "small"
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	message, err := list.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	account := accountOf(4 << 20)
	read := 0
	for name, each := range map[string]func(Omit) error{
		"JSON": func(omit Omit) error {
			return Each(text, account, omit, func(*corev1.Pod) error { read++; return nil })
		},
		"protobuf": func(omit Omit) error {
			return EachProtobuf(message, account, omit, func([]byte) error { read++; return nil })
		},
	} {
		var omitted []string
		read = 0
		err := each(func(namespace, name string) { omitted = append(omitted, namespace+"/"+name) })
		if err != nil || read != 1 {
			t.Errorf("%s: %d are read: %v", name, read, err)
		}
		if want := []string{"shop/first", "shop/last"}; !slices.Equal(omitted, want) {
			t.Errorf("%s: %q are omitted", name, omitted)
		}
		if err := each(nil); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: without a function: %v", name, err)
		}
	}
	if n, err := Count(text); n != 3 || err != nil {
		t.Errorf("%d are counted: %v", n, err)
	}
}

// TestTooLargePartIsOmitted verifies that Items omits an object if the decoded part of the object takes more memory
// than maxHeldBytes. The namespace and the name of the omitted object must be reported.
func TestTooLargePartIsOmitted(t *testing.T) {
	var labels strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&labels, `,"%d":""`, i)
	}
	text := `{"items":[{"metadata":{"namespace":"n","name":"large","labels":{"a":""` + labels.String() +
		`}}},{"metadata":{"name":"small"}}]}`
	var omitted []string
	found, err := Items[struct {
		Metadata struct {
			Name   string            `json:"name"`
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	}]([]byte(text), accountOf(2<<20), func(namespace, name string) { omitted = append(omitted, namespace+"/"+name) })
	want := []string{"n/large"}
	if err != nil || len(found) != 1 || found[0].Metadata.Name != "small" || !slices.Equal(omitted, want) {
		t.Errorf("%d are read, %q omitted: %v", len(found), omitted, err)
	}
}

func varint(n int) (out []byte) {
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(out, byte(n)) //nolint:gosec // less than 128
}
