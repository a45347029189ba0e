// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"fmt"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

// Read decodes body, a response of a cluster's API server, into target, a pointer to a struct. Read ignores unknown
// fields. It decodes integers in values of type any into int64 instead of float64. If body is larger than smallItem,
// the memory of the decoded value is charged to the account.
func Read(body []byte, account *budget.Account, target any) error {
	if len(body) > smallItem {
		if err := account.Take(DecodingBytes(body)); err != nil {
			return fmt.Errorf("reading an object: %w", err)
		}
	}
	return read(body, target)
}

// HoldUntyped charges the account for the memory that is needed to decode body into maps and slices instead of a
// struct. If body is not larger than smallItem, HoldUntyped charges nothing.
func HoldUntyped(body []byte, account *budget.Account) error {
	if len(body) <= smallItem {
		return nil
	}
	if err := account.Take(elements(body) * smallElementBytes); err != nil {
		return fmt.Errorf("reading an object: %w", err)
	}
	return nil
}

func read(body []byte, target any) error {
	if err := utiljson.Unmarshal(body, target); err != nil {
		return Unreadable(err)
	}
	return nil
}
