// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"bytes"
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubevision-io/kubevision/pkg/budget"
	"github.com/kubevision-io/kubevision/pkg/protobuf"
)

const (
	// protobufPrefix is the prefix of Kubernetes' protobuf encoding.
	protobufPrefix = "k8s\x00"
	// itemsField is the number of the field with the objects in each of Kubernetes' own lists.
	itemsField = 2
	// messageDepth is the depth down to which the elements of an object are counted.
	messageDepth = 8
)

// Protobuf returns the message in a body that begins with Kubernetes' prefix for protobuf. It returns false for any
// other body.
func Protobuf(body []byte) ([]byte, bool) {
	raw, ok := bytes.CutPrefix(body, []byte(protobufPrefix))
	unknown := &runtime.Unknown{}
	if !ok || unknown.Unmarshal(raw) != nil {
		return nil, false
	}
	return unknown.Raw, true
}

// EachProtobuf is like Each, for a list that is encoded as protobuf.
func EachProtobuf(list []byte, account *budget.Account, omit Omit, visit func(item []byte) error) error {
	for len(list) > 0 {
		number, kind, n := protowire.ConsumeTag(list)
		if n < 0 {
			return Unreadable(protowire.ParseError(n))
		}
		list = list[n:]
		value := list
		if n = protowire.ConsumeFieldValue(number, kind, list); n < 0 {
			return Unreadable(protowire.ParseError(n))
		}
		list = list[n:]
		if number != itemsField {
			continue
		}
		item, m := protowire.ConsumeBytes(value[:n])
		if kind != protowire.BytesType || m < 0 {
			return Unreadable(errors.New("an object of a list is not a message"))
		}
		err := omit.except(visitCharged(item, account, visit), func() (string, string) { return protobuf.Name(item) })
		if err != nil {
			return err
		}
	}
	return nil
}

func visitCharged(item []byte, account *budget.Account, visit func(item []byte) error) error {
	release, err := takeForReading(account, len(item), func() int64 {
		return (1 + protobuf.Elements(item, messageDepth)) * ElementBytes
	})
	if err != nil {
		return err
	}
	defer release()
	return visit(item)
}
