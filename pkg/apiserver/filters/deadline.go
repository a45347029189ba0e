// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"net/http"
	"time"
)

// requestTime bounds the time from the headers of a request to the end of its response. The body may take 10 s, and the
// handler may take 55 s. The rest of the time is for sending a large response to a slow client. Streams have other
// deadlines.
const requestTime = 3 * time.Minute

// expire sets the deadline for writing the response: the current time plus requestTime. The deadline ends a response
// that the client does not read. It is not removed at the end of the handler, because net/http may still be sending the
// response. The next HTTP/1 request on the connection sets a new deadline.
func expire(w http.ResponseWriter) {
	// An error means that the writer has no connection, or that the connection has ended.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(requestTime))
}
