// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"net/http"
	"time"

	"github.com/kubevision-io/kubevision/pkg/apiserver/filters"
	"github.com/kubevision-io/kubevision/pkg/budget"
)

const (
	// responseBytes is the memory that a response takes while it is sent.
	responseBytes = 32 << 10
	// maxResponseBytes is the memory that all responses take to those who are not known; those who are have as much.
	maxResponseBytes = 16 << 20

	// sendTime is the time to send a response in, and sendRate the bytes that a client must take in a second beyond it.
	sendTime = 20 * time.Second
	sendRate = 64 << 10
)

// responseSpace bounds the responses that are sent at once. Anybody may ask for files, and read them slowly.
type responseSpace struct {
	strangers, known *budget.Budget
	origin           func(*http.Request) filters.Origin
	// time and rate are sendTime and sendRate.
	time time.Duration
	rate int64
}

func newResponseSpace(origin func(*http.Request) filters.Origin) *responseSpace {
	options := budget.Options{Total: maxResponseBytes, Step: responseBytes}
	return &responseSpace{
		strangers: budget.NewShared(options), known: budget.NewShared(options), origin: origin,
		time: sendTime, rate: sendRate,
	}
}

// enter takes the memory of a response. Networks that somebody is logged in from have room of their own.
func (o *responseSpace) enter(r *http.Request) (leave func(), err error) {
	from := o.origin(r)
	if from.Known {
		account := o.known.Account(from.Network, 0)
		if account.Take(responseBytes) == nil {
			return account.Close, nil
		}
	}
	account := o.strangers.Account(from.Network, 0)
	if err := account.Take(responseBytes); err != nil {
		return nil, err
	}
	return account.Close, nil
}

// within sends a response, and gives up on a client that takes it too slowly.
func (o *responseSpace) within(w http.ResponseWriter, size int64, send func()) {
	connection := http.NewResponseController(w)
	limit := o.time + time.Duration(size/o.rate)*time.Second
	_ = connection.SetWriteDeadline(time.Now().Add(limit)) // a test has no connection
	send()
	_ = connection.Flush()
	_ = connection.SetWriteDeadline(time.Time{}) // the next response has one of its own
}
