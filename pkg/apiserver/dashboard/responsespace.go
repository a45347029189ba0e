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
	// responseBytes is the estimated memory of a response that is being sent, in bytes.
	responseBytes = 32 << 10
	// maxResponseBytes bounds the memory of all responses to unknown networks, in bytes. The same limit applies
	// separately to the responses to known networks (see filters.Origin).
	maxResponseBytes = 16 << 20

	// sendTime is the time in which a client must read a small response.
	sendTime = 20 * time.Second
	// sendRate is the speed at which a client must read a large response, in bytes per second.
	sendRate = 64 << 10
)

// responseSpace limits the number of concurrent responses, because clients without authentication may request files and
// read them slowly.
type responseSpace struct {
	strangers, known *budget.Budget
	origin           func(*http.Request) filters.Origin
	// sendTime is the time in which a client must read a small response.
	sendTime time.Duration
	// sendRate is the speed at which a client must read a large response, in bytes per second.
	sendRate int64
}

func newResponseSpace(origin func(*http.Request) filters.Origin) *responseSpace {
	options := budget.Options{Total: maxResponseBytes, Step: responseBytes}
	return &responseSpace{
		strangers: budget.NewShared(options), known: budget.NewShared(options), origin: origin,
		sendTime: sendTime, sendRate: sendRate,
	}
}

// enter reserves memory for the response to a request. It returns an error if too many responses are in progress in
// total, or too many responses to clients in the same network. The caller must call leave when the response has ended.
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

// within sets a write deadline, sends the response, and removes the deadline. The deadline depends on the size of the
// response in bytes. If the client reads too slowly, net/http closes the connection.
func (o *responseSpace) within(w http.ResponseWriter, size int64, send func()) {
	connection := http.NewResponseController(w)
	limit := o.sendTime + time.Duration(size/o.sendRate)*time.Second
	// SetWriteDeadline fails only in tests, whose response writers have no connection.
	_ = connection.SetWriteDeadline(time.Now().Add(limit))
	send()
	_ = connection.Flush()
	_ = connection.SetWriteDeadline(time.Time{}) // the next response sets its own deadline
}
