// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const slowBody = "POST " + wire.DirectPath +
	"/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
	"1000\r\n\r\n{\"username\":"

var goroutinesLine = regexp.MustCompile(`(?m)^go_goroutines (\S+)$`)

func goroutines(ctx context.Context, client *wire.Client) (float64, error) {
	r, err := client.Do(ctx, wire.Request{Path: "/metrics"})
	if err != nil {
		return 0, err
	}
	match := goroutinesLine.FindSubmatch(r.Body)
	if match == nil {
		return 0, fmt.Errorf("HTTP %d without go_goroutines", r.Status)
	}
	return strconv.ParseFloat(string(match[1]), 64)
}

// TestEndlessBody verifies that the server stops reading an endless body at the limit.
func TestEndlessBody(t *testing.T) {
	connection := direct(t).Dial(t)
	if err := connection.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	head := "POST " + wire.DirectPath + "/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: " +
		"application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
	if _, err := io.WriteString(connection, head); err != nil {
		t.Fatal(err)
	}
	go func() {
		chunk := "10000\r\n" + strings.Repeat(" ", 0x10000) + "\r\n"
		for {
			if _, err := io.WriteString(connection, chunk); err != nil {
				return
			}
		}
	}()
	readAnswer(t, "POST", connection).Envelope(t).Want(t, wire.Invalid)
}

// TestSlowBodies verifies that slow requests get a response in a bounded time, leave no goroutines, and do not delay
// logins.
func TestSlowBodies(t *testing.T) {
	const slow = 250
	replica, err := env.KubeVision.StartAPIServer(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = replica.Stop() })
	client, metrics := at(t, replica.Endpoint()), at(t, replica.Endpoint(), admin())
	u := set().User(t, "patient")
	u.Login(t, client, wire.DirectPath)
	before, err := goroutines(t.Context(), metrics)
	if err != nil {
		t.Fatal(err)
	}
	connections := make([]*tls.Conn, 0, slow)
	begun := time.Now()
	for range slow {
		c := client.Dial(t)
		if _, err := io.WriteString(c, slowBody); err != nil {
			t.Fatal(err)
		}
		connections = append(connections, c)
	}
	t.Run("others log in", func(t *testing.T) {
		client.Call(t, fixture.LoginRequest(wire.DirectPath, u.Name, u.Password)).Want(t, wire.OK)
	})
	t.Run("they are answered", func(t *testing.T) {
		if err := connections[0].SetDeadline(begun.Add(75 * time.Second)); err != nil {
			t.Fatal(err)
		}
		e := readAnswer(t, "POST", connections[0]).Envelope(t)
		t.Logf("a slow body got code %d (%s) after %s", e.Code, e.Message, time.Since(begun).Round(time.Second))
		if e.Code != wire.Invalid && e.Code != wire.TooManyRequests {
			t.Errorf("code %d (%s), want %d, an error of the client", e.Code, e.Message, wire.Invalid)
		}
	})
	t.Run("they leave nothing behind", func(t *testing.T) {
		// The client keeps the connections open, like an attacker.
		fixture.Eventually(t, "wait for the goroutines to end", func(ctx context.Context) error {
			now, err := goroutines(ctx, metrics)
			if err == nil && now > before+slow/2 {
				err = fmt.Errorf("there are %.0f goroutines, %.0f before", now, before)
			}
			return err
		})
	})
	for _, c := range connections {
		_ = c.Close()
	}
	fixture.Eventually(t, "wait for the goroutines of closed connections", func(ctx context.Context) error {
		now, err := goroutines(ctx, metrics)
		if err == nil && now > before+50 {
			err = fmt.Errorf("there are %.0f goroutines, %.0f before", now, before)
		}
		return err
	})
}
