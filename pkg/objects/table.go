// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	dashboardv1alpha1 "github.com/kubevision-io/kubevision/pkg/apis/dashboard/v1alpha1"
	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/clusters"
)

// TableOnly is the media type with which a request asks an API server for a metav1.Table instead of a list or an
// object.
const TableOnly = "application/json;as=Table;g=meta.k8s.io;v=v1"

// IncludeObject is the query parameter that selects which part of the object each row of a Table contains: WholeObject
// or MetadataOnly.
const (
	IncludeObject = "includeObject"
	WholeObject   = string(metav1.IncludeObject)
	MetadataOnly  = string(metav1.IncludeMetadata)
)

// ErrNoTable is returned if a response is not a Table, for example because the API server ignores the requested media
// type.
var ErrNoTable = errors.New("the response is not a Table")

// Row is a row of a metav1.Table.
type Row struct {
	// Object is the object of the row, or only its metadata, depending on the request.
	Object Object

	resource clusters.Resource
	cells    json.RawMessage
}

// ReadTable reads a Table of the resource r from a reader, and calls visit with each row. It returns the column
// definitions and the metadata of the Table. Only one row at a time is in memory, and its memory is charged to account.
// ReadTable returns ErrNoTable if the response is not a Table.
func ReadTable(
	from io.Reader, r clusters.Resource, account *budget.Account, visit func(Row) error,
) ([]dashboardv1alpha1.TableColumn, Page, error) {
	t := table{list: newList(from, r, account), visit: visit}
	defer t.bounded.release()
	err := t.read(map[string]func() error{
		"kind": t.readKind, "columnDefinitions": t.readColumns, "rows": t.readRows,
		"items": func() error { return ErrNoTable },
	})
	switch {
	case err != nil:
		return nil, Page{}, err
	case !t.isTable:
		return nil, Page{}, ErrNoTable
	case !t.complete:
		return nil, Page{}, Unreadable(fmt.Errorf("the Table of %s lacks the field rows",
			r.GroupVersionResource.Resource))
	default:
		return t.columns, t.page, nil
	}
}

type table struct {
	*list

	visit   func(Row) error
	isTable bool
	columns []dashboardv1alpha1.TableColumn
	// columnsSize is the memory of the columns, in bytes.
	columnsSize int
}

func (t *table) readKind() error {
	var kind string
	if err := t.decode(&kind); err != nil {
		return err
	}
	if t.isTable = kind == "Table"; !t.isTable {
		return ErrNoTable
	}
	return nil
}

const (
	// maxColumnBytes bounds the bytes of the columns of a Table. The Tables of Kubernetes' own kinds have less than 1
	// KiB.
	maxColumnBytes = 64 << 10
	// columnBytes is the assumed memory overhead of a column in addition to its strings, in bytes.
	columnBytes = 64
)

var errManyColumns = fmt.Errorf("the columns of a table need more than %d bytes", maxColumnBytes)

// readColumns reads the column definitions without their descriptions, which may be longer than the rows of a Table.
func (t *table) readColumns() error {
	if isNull, err := t.begin(); err != nil || isNull {
		return err
	}
	for t.decoder.More() {
		var column dashboardv1alpha1.TableColumn
		if err := t.decode(&column); err != nil {
			return err
		}
		// A malicious cluster may send columnDefinitions several times. Therefore, columnsSize is never reset.
		t.columnsSize += columnBytes + len(column.Name) + len(column.Type) + len(column.Format)
		if t.columnsSize > maxColumnBytes {
			return Unreadable(errManyColumns)
		}
		t.columns = append(t.columns, column)
		t.bounded.release()
	}
	return t.expect(json.Delim(']'))
}

func (t *table) readRows() error {
	isNull, err := t.begin()
	if err != nil {
		return err
	}
	if isNull {
		t.complete = true
		return nil
	}
	return t.items(func(members Object) error {
		row, err := t.row(members)
		if err != nil {
			return err
		}
		return t.visit(row)
	})
}

// begin reads the beginning of a JSON array, or null instead of an array. isNull is true for null.
func (t *table) begin() (isNull bool, err error) {
	token, err := t.decoder.Token()
	switch {
	case err != nil:
		return false, Unreadable(err)
	case token == nil:
		return true, nil
	case token != json.Delim('['):
		return false, Unreadable(errors.New("it is not a table"))
	default:
		return false, nil
	}
}

func (t *table) row(members Object) (Row, error) {
	row := Row{resource: t.resource, cells: members["cells"]}
	if len(row.cells) == 0 || row.cells[0] != '[' {
		return Row{}, Unreadable(errors.New("a row of a table has no cells"))
	}
	if err := row.Object.split(members["object"]); err != nil {
		return Row{}, Unreadable(err)
	}
	return row, row.Object.prepareForUser(t.resource, IsSecret(t.resource), nil)
}

// Encode returns a JSON object with these fields:
//   - kind and apiVersion.
//   - cells: the cells of the row.
//   - metadata: the name, namespace, uid and timestamps of the object.
//   - the top-level fields of the object whose names are in members, if they exist and are not null.
func (r Row) Encode(members ...string) ([]byte, error) {
	var all Object
	if err := all.split(r.Object["metadata"]); err != nil {
		return nil, Unreadable(err)
	}
	metadata, err := all.subset("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp").Encode()
	if err != nil {
		return nil, err
	}
	out := r.Object.subset(members...)
	out["cells"], out["metadata"] = r.cells, metadata
	for field, value := range map[string]string{
		"kind": r.resource.Kind, "apiVersion": r.resource.GroupVersion().String(),
	} {
		if out[field], err = Encode(value); err != nil {
			return nil, err
		}
	}
	return out.Encode()
}

// subset returns a new Object with the given top-level fields of o. It omits fields that are missing or null.
func (o Object) subset(names ...string) Object {
	out := Object{}
	for _, name := range names {
		if value, ok := o[name]; ok && string(value) != "null" {
			out[name] = value
		}
	}
	return out
}

// WithoutRows returns the JSON of a Table with an empty list of rows. body is the JSON of the original Table.
func WithoutRows(body []byte) ([]byte, error) {
	var o Object
	if err := o.split(body); err != nil {
		return nil, Unreadable(err)
	}
	if o == nil { // the body is null
		o = Object{}
	}
	o["rows"] = json.RawMessage("[]")
	return o.Encode()
}
