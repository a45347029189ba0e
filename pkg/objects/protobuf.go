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
	// protobufPrefix is the prefix of Kubernetes objects that are encoded as protobuf.
	protobufPrefix = "k8s\x00"
	// itemsField is the protobuf field number of the items in the List types of Kubernetes.
	itemsField      = 2
	maxElementDepth = 8
)

// Protobuf returns the protobuf message of the Kubernetes object in body, without its wrapper runtime.Unknown. It
// returns false if body is not a Kubernetes object that is encoded as protobuf.
func Protobuf(body []byte) ([]byte, bool) {
	raw, ok := bytes.CutPrefix(body, []byte(protobufPrefix))
	unknown := &runtime.Unknown{}
	if !ok || unknown.Unmarshal(raw) != nil {
		return nil, false
	}
	return unknown.Raw, true
}

// EachProtobuf calls visit() with the protobuf encoding of each object of a list. During each call, the memory for
// decoding the object is charged to account. If an object is too large, EachProtobuf skips it and calls omit with the
// namespace and name of the object. If omit is nil, EachProtobuf returns ErrTooLarge instead.
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
	release, err := chargeDecoding(account, len(item), func() int64 {
		return (1 + protobuf.Elements(item, maxElementDepth)) * ElementBytes
	})
	if err != nil {
		return err
	}
	defer release()
	return visit(item)
}
