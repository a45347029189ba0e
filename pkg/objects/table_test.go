// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/envelope"
)

const tableHead = `{"kind":"Table","apiVersion":"meta.k8s.io/v1",` +
	`"metadata":{"continue":"next","remainingItemCount":3},` +
	`"columnDefinitions":[{"name":"Name","type":"string","format":"name","description":"long","priority":0},` +
	`{"name":"IP","type":"string","format":"","description":"long","priority":1}],"rows":`

func rowsOf(body string, account *budget.Account) (
	rows []string, columns []dashboardv1alpha1.TableColumn, page Page, err error,
) {
	columns, page, err = ReadTable(strings.NewReader(body), kind("", "v1", "pods", "Pod"), account,
		func(r Row) error {
			encoded, err := r.Encode("metrics")
			rows = append(rows, string(encoded))
			return err
		})
	return rows, columns, page, err
}

// TestReadTable verifies that a row contains the cells and the basic metadata of an object, such as the name. Labels,
// annotations and managedFields must be removed.
func TestReadTable(t *testing.T) {
	rows, columns, page, err := rowsOf(tableHead+`[{"cells":["a",null,1],"conditions":[{"type":"Completed"}],"object":{
		"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metrics":{"cpu":1},"spec":{"a":1},"metadata":{
		"name":"a","namespace":"n","uid":"u","creationTimestamp":"2026-01-01T00:00:00Z","deletionTimestamp":null,
		"labels":{"app":"a"},"managedFields":[{}],"annotations":{"note":"x"}}}},
		{"cells":[],"object":{"metadata":{"name":"b"}}}]}`, nil)
	want := []string{
		`{"apiVersion":"v1","cells":["a",null,1],"kind":"Pod","metadata":{` +
			`"creationTimestamp":"2026-01-01T00:00:00Z","name":"a","namespace":"n","uid":"u"},"metrics":{"cpu":1}}`,
		`{"apiVersion":"v1","cells":[],"kind":"Pod","metadata":{"name":"b"}}`,
	}
	if err != nil || !slices.Equal(rows, want) {
		t.Errorf("%v; the rows are\n%s\nwant\n%s", err, strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	if !slices.Equal(columns, []dashboardv1alpha1.TableColumn{
		{Name: "Name", Type: "string", Format: "name"}, {Name: "IP", Type: "string", Priority: 1},
	}) {
		t.Errorf("the columns are %+v", columns)
	}
	if total := page.Total(); page.Continue != "next" || total == nil || *total != 5 {
		t.Errorf("the page is %+v", page)
	}
	for _, rest := range []string{`[]}`, `null}`} {
		if rows, columns, _, err := rowsOf(tableHead+rest, nil); err != nil || len(rows) > 0 || len(columns) != 2 {
			t.Errorf("%s: %v, %v, %v", rest, rows, columns, err)
		}
	}
	empty, err := WithoutRows([]byte(tableHead + `[{"cells":["a"],"object":{"metadata":{"name":"a"}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if rows, columns, _, err := rowsOf(string(empty), nil); err != nil || len(rows) > 0 || len(columns) != 2 {
		t.Errorf("without rows: %v, %v, %v", rows, columns, err)
	}
}

// TestNoTable verifies that a list is not accepted as a table, and that an incomplete table is an error.
func TestNoTable(t *testing.T) {
	for _, body := range []string{
		`{}`, `{"kind":"PodList","items":[]}`, `{"items":[{"metadata":{"name":"a"}}]}`, `{"rows":[]}`,
		`{"kind":"Status"}`,
	} {
		if _, _, _, err := rowsOf(body, nil); !errors.Is(err, ErrNoTable) {
			t.Errorf("%s: %v", body, err)
		}
	}
	row := func(row string) string { return tableHead + "[" + row + "]}" }
	whole := row(`{"cells":["a"],"object":{"metadata":{"name":"a"}}}`)
	bodies := []string{
		`[]`, `null`, tableHead + `{}}`, row(`null`), row(`1`), row(`{}`), row(`{"cells":["a"]}`),
		row(`{"cells":["a"],"object":null}`), row(`{"cells":["a"],"object":{}}`),
		row(`{"cells":{},"object":{"metadata":{}}}`), row(`{"object":{"metadata":{"name":"a"}}}`),
		`{"kind":"Table","columnDefinitions":[]}`, `{"kind":"Table","columnDefinitions":1,"rows":[]}`,
	}
	for i := range len(whole) - 1 {
		bodies = append(bodies, whole[:i])
	}
	for _, body := range bodies {
		if _, _, _, err := rowsOf(body, nil); err == nil ||
			envelope.As(err).Code != dashboardv1alpha1.CodeUnreachable {
			t.Errorf("%s: %v, want 50200", body, err)
		}
	}
}

// TestColumnsAreBounded verifies that the memory for the columns of one table is limited.
func TestColumnsAreBounded(t *testing.T) {
	for name, columns := range map[string]string{
		"many":       strings.Repeat(`{},`, 1<<20) + `{}`,
		"many lists": strings.Repeat(strings.Repeat(`{},`, 500)+`{}],"columnDefinitions":[`, 2000),
		"long":       `{"name":"` + strings.Repeat("x", maxColumnBytes) + `"}`,
		"long type":  `{"type":"` + strings.Repeat("x", maxColumnBytes) + `"}`,
	} {
		body := `{"kind":"Table","columnDefinitions":[` + columns + `],"rows":[]}`
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, found, _, err := rowsOf(body, nil)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, errManyColumns) || grown > 1<<20 {
			t.Errorf("%s: %d columns, %d bytes, %v", name, len(found), grown, err)
		}
	}
	described := fmt.Sprintf(`{"kind":"Table","columnDefinitions":[{"name":"a","description":%q}],"rows":[]}`,
		strings.Repeat("x", 2*maxColumnBytes))
	if _, columns, _, err := rowsOf(described, nil); err != nil || len(columns) != 1 {
		t.Errorf("a long description: %v, %v", columns, err)
	}
}

// TestRowsAreCharged verifies that the memory of a large table row counts toward the memory limit of a request. After
// the row has been read, the memory must no longer count.
func TestRowsAreCharged(t *testing.T) {
	body := tableHead + `[{"cells":["` + strings.Repeat("x", 1<<20) + `"],"object":{"metadata":{"name":"a"}}}]}`
	shared := budget.New(64 << 20)
	account := shared.Account("user", 0)
	if _, _, _, err := rowsOf(body, account); err != nil || shared.Used() != 0 {
		t.Errorf("%v, and %d bytes are charged still", err, shared.Used())
	}
	if _, _, _, err := rowsOf(body, budget.New(2<<20).Account("user", 0)); !errors.Is(err, budget.ErrExceeded) {
		t.Errorf("with little memory: %v", err)
	}
}
