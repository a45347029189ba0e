// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package rolebinding

import (
	"errors"
	"fmt"
	"sync"
)

// shownFailures bounds the number of errors in the joined error of concurrent calls. Thousands of namespaces may fail
// for the same reason.
const shownFailures = 4

// failures collects the errors of concurrent calls.
type failures struct {
	mu    sync.Mutex
	first []error
	more  int
}

func newFailures() *failures { return &failures{} }

func (f *failures) add(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.first) < shownFailures {
		f.first = append(f.first, err)
		return
	}
	f.more++
}

func (f *failures) join() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.more == 0 {
		return errors.Join(f.first...)
	}
	return fmt.Errorf("%w\nand %d more", errors.Join(f.first...), f.more)
}
