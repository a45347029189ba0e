// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

// executing returns the number of requests that occupy seats of API Priority and Fairness in kube-apiserver.
func executing(tb testing.TB, kubeAPIServer *wire.Client) int {
	tb.Helper()
	const metric = "apiserver_flowcontrol_current_executing_requests{"
	sum := 0
	lines := bufio.NewScanner(bytes.NewReader(kubeAPIServer.Send(tb, wire.Request{Path: "/metrics"}).Body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, metric) {
			continue
		}
		value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			tb.Fatal(err)
		}
		sum += int(value)
	}
	return sum
}

// TestStreamsOccupyNoSeats verifies that WebSockets below /apis/dashboard.kubevision.io/v1alpha1/proxy/ occupy no seats
// of API Priority and Fairness in kube-apiserver. A priority level has only some dozens of seats.
func TestStreamsOccupyNoSeats(t *testing.T) {
	p, front := newPerson(t, "seats"), doors(t)["front"]
	const streams, others = 12, 6
	before := executing(t, front.client)
	for range streams {
		open(t, front.client, wire.Request{Path: front.base + "/proxy" + watchPath, Token: p.AccessToken}).isAlive(t)
	}
	time.Sleep(100 * time.Millisecond)
	if after := executing(t, front.client); after > before+others {
		t.Errorf("%d requests took places before, and %d do now", before, after)
	}
	for i := range others { // the path is for reads
		front.client.Call(t, wire.Request{
			Method: "POST", Path: fmt.Sprint(front.base, "/proxy/ws/ticket?i=", i), Token: p.AccessToken,
		}).Want(t, wire.NotFound)
	}
}
