// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"fmt"

	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/kubevision-io/kubevision/pkg/budget"
)

// Read decodes a response of a cluster's API server into a value that has only the required fields. Integers remain
// integers. The account is charged for the value, because two bytes may be a large element.
func Read(body []byte, account *budget.Account, into any) error {
	if len(body) > smallItem {
		if err := account.Take(elements(body) * ElementBytes); err != nil {
			return fmt.Errorf("reading an object: %w", err)
		}
	}
	return read(body, into)
}

// HoldUntyped charges the account for the values of an object that is decoded without a type.
func HoldUntyped(body []byte, account *budget.Account) error {
	if len(body) <= smallItem {
		return nil
	}
	if err := account.Take(elements(body) * smallElementBytes); err != nil {
		return fmt.Errorf("reading an object: %w", err)
	}
	return nil
}

func read(body []byte, into any) error {
	if err := utiljson.Unmarshal(body, into); err != nil {
		return Unreadable(err)
	}
	return nil
}
