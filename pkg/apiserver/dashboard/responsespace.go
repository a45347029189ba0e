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
	// responseBytes is the memory that a response needs while it is sent.
	responseBytes = 32 << 10
	// maxResponseBytes bounds the memory of all responses to unknown networks. Known networks have a separate budget of
	// the same size.
	maxResponseBytes = 16 << 20

	// sendTime is the minimum time limit for sending a response. sendRate is the rate, in bytes per second, by which
	// the size extends the limit.
	sendTime = 20 * time.Second
	sendRate = 64 << 10
)

// responseSpace bounds the concurrent responses, because unauthenticated clients may request files and read them
// slowly.
type responseSpace struct {
	strangers, known *budget.Budget
	origin           func(*http.Request) filters.Origin
	// time and rate default to sendTime and sendRate.
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

// enter reserves the memory of a response. Networks with a logged-in user have a separate budget.
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

// within calls send with a deadline, and closes the connection of a client that reads too slowly.
func (o *responseSpace) within(w http.ResponseWriter, size int64, send func()) {
	connection := http.NewResponseController(w)
	limit := o.time + time.Duration(size/o.rate)*time.Second
	// SetWriteDeadline fails only in tests, whose response writers have no connection.
	_ = connection.SetWriteDeadline(time.Now().Add(limit))
	send()
	_ = connection.Flush()
	_ = connection.SetWriteDeadline(time.Time{}) // the next response sets its own deadline
}
