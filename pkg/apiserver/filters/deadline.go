// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package filters

import (
	"net/http"
	"time"
)

// requestTime bounds the time of a request, from its headers to the end of its response: a body arrives within 10 s,
// a handler has 55 s, and a large response a minute. Responses without an end have other deadlines.
const requestTime = 3 * time.Minute

// expire sets a write deadline that ends the response after requestTime, even if the client does not read. It is not
// cleared: over HTTP/1 the next request on the connection sets its own, and over HTTP/2 the rest of the response is
// sent after the handler has returned.
func expire(w http.ResponseWriter) {
	// An error means that the writer has no connection, or that the connection has ended.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(requestTime))
}
