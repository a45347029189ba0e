// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package benchmark_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

const (
	// senderVariable is the environment variable that makes this program act as a sender.
	senderVariable = "KUBEVISION_BENCHMARK_SENDER"
	// waveInterval is the minimum time between the starts of two waves. Without it, logins that are rejected at once
	// would be sent as fast as possible.
	waveInterval = time.Second
)

// report is a report that a sender writes after each wave.
type report struct {
	// Sent and Codes cover all waves so far.
	Sent  int64
	Codes map[int]int
	Error string `json:",omitempty"`
}

// sender is a separate process that sends waves of concurrent requests. The process has the lowest priority, because
// real clients run on other machines and do not slow down the server.
type sender struct {
	orders  *json.Encoder
	reports *json.Decoder
	last    report
}

func newSender(b *testing.B, c crowd) *sender {
	b.Helper()
	c.Endpoint, c.AuthorityPEM = cmp.Or(c.Endpoint, env.KubeVision.Endpoint()), env.KubeVision.CAPEM()
	in, out := aside(b, senderVariable)
	s := &sender{orders: json.NewEncoder(in), reports: json.NewDecoder(bufio.NewReader(out))}
	if err := s.orders.Encode(c); err != nil {
		b.Fatal(err)
	}
	return s
}

// aside runs this test binary as a child process with the lowest priority. variable is the name of the environment
// variable that determines what the process does. At the end of the benchmark, in is closed, and the process must exit.
func aside(b *testing.B, variable string) (in io.Writer, out io.Reader) {
	b.Helper()
	p := startProgram(b, []string{"nice", "-n", "19"}, variable, "1")
	return p.in, p.out
}

type program struct {
	in  io.Writer
	out io.Reader
	pid int
}

// startProgram runs this test binary as a child process. command precedes the path of the binary on the command line,
// for example "nice -n 19". variable and value are the name and the value of the environment variable that determines
// what the process does. At the end of the benchmark, the standard input of the process is closed, and the process must
// exit.
func startProgram(b *testing.B, command []string, variable, value string) program {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	command = append(command, self)
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // it ends with its input
	cmd.Env, cmd.Stderr = append(os.Environ(), variable+"="+value), os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(input.Close(), cmd.Wait()); err != nil {
			b.Errorf("a helper of the benchmark: %v", err)
		}
	})
	return program{in: input, out: output, pid: cmd.Process.Pid}
}

func (s *sender) wave() error {
	if err := s.orders.Encode(true); err != nil {
		return fmt.Errorf("requesting a wave: %w", err)
	}
	s.last = report{}
	if err := s.reports.Decode(&s.last); err != nil {
		return fmt.Errorf("waiting for the end of a wave: %w", err)
	}
	if s.last.Error != "" {
		return errors.New(s.last.Error)
	}
	return nil
}

func (s *sender) waves(ctx context.Context, length time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	return s.until(ctx)
}

func (s *sender) until(ctx context.Context) error {
	for ctx.Err() == nil {
		next := time.After(waveInterval)
		if err := s.wave(); err != nil {
			return err
		}
		<-next
	}
	return nil
}

func (s *sender) report(b *testing.B) {
	b.Helper()
	for code, count := range s.last.Codes {
		b.ReportMetric(float64(count)/float64(s.last.Sent), fmt.Sprintf("share-%d", code))
	}
}

// send is the main function of a sender. It returns at the end of in.
func send(in io.Reader, out io.Writer) error {
	orders, reports := json.NewDecoder(in), json.NewEncoder(out)
	var c crowd
	if err := orders.Decode(&c); err != nil {
		return fmt.Errorf("reading the description of the crowd: %w", err)
	}
	f, err := newFlood(c)
	if err != nil {
		return err
	}
	for {
		var order bool
		err := orders.Decode(&order)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading an order: %w", err)
		}
		r := report{}
		if err := f.wave(context.Background()); err != nil {
			r.Error = err.Error()
		}
		r.Sent, r.Codes = f.sent.Load(), f.codes
		if err := reports.Encode(r); err != nil {
			return fmt.Errorf("reporting a wave: %w", err)
		}
	}
}
