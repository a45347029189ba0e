// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package scopedlist

import (
	"fmt"
	"strings"
	"sync"

	"github.com/kubevision-io/kubevision/pkg/objects"
)

const (
	// maxOmittedNames bounds the objects in a warning. maxNameBytes bounds the length of a name.
	maxOmittedNames = 10
	maxNameBytes    = 253
)

// Omissions counts the objects that are omitted from a list because each needs too much memory.
type Omissions struct {
	resource string

	mu    sync.Mutex
	count int
	names []string
}

// newOmissions returns the omissions of a list of a resource.
func newOmissions(resource string) *Omissions { return &Omissions{resource: resource} }

// Add counts an omitted object, and records its name unless maxOmittedNames names are recorded.
func (o *Omissions) Add(namespace, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count++
	if len(o.names) == maxOmittedNames {
		return
	}
	name = name[:min(len(name), maxNameBytes)]
	if namespace != "" {
		name = namespace[:min(len(namespace), maxNameBytes)] + "/" + name
	}
	o.names = append(o.names, strings.ToValidUTF8(name, "?"))
}

// omit returns the function that adds objects. For a nil Omissions, it returns nil, so that such an object is an error.
func (o *Omissions) omit() objects.Omit {
	if o == nil {
		return nil
	}
	return o.Add
}

// warnings returns a warning that names the objects, if there are any.
func (o *Omissions) warnings() []string {
	if o == nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.count == 0 {
		return nil
	}
	named := strings.Join(o.names, ", ")
	if more := o.count - len(o.names); more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return []string{fmt.Sprintf("%s: objects are omitted because they are too large: %s", o.resource, named)}
}
