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
	// maxOmittedNames bounds the number of objects that a warning names.
	maxOmittedNames = 10
	// maxNameBytes bounds the bytes of each name in a warning.
	maxNameBytes = 253
)

// Omissions records the objects that are omitted from a list. Decoding these objects would take too much memory.
type Omissions struct {
	resource string

	mu    sync.Mutex
	count int
	names []string
}

// newOmissions returns an empty Omissions for a list of the given resource.
func newOmissions(resource string) *Omissions { return &Omissions{resource: resource} }

// Add records an omitted object. It counts each omitted object, but stores only the first maxOmittedNames names.
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

// omit returns o.Add, which records an object that is too large to be decoded. The list then continues without this
// object. If o is nil, omit returns nil, and such an object causes an error for the whole list.
func (o *Omissions) omit() objects.Omit {
	if o == nil {
		return nil
	}
	return o.Add
}

// warnings returns a slice with one warning, which names the omitted objects. It returns nil if no objects
// are omitted.
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
