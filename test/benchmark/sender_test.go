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
	// senderVariable is the environment variable that makes this test binary send requests.
	senderVariable = "KUBEVISION_BENCHMARK_SENDER"
	// waveInterval is the minimum time between the starts of two waves, which are groups of concurrent requests.
	// Without this minimum, the clients would repeat rejected logins as fast as possible.
	waveInterval = time.Second
)

// report contains the results of the requests that a child process has sent to the server.
type report struct {
	// Sent is the number of all requests so far.
	Sent int64
	// Codes contains the number of responses for each response code.
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

// aside runs this test binary as a child process with the lowest priority. The environment variable selects the main
// function of the process. At the end of the benchmark, aside closes the standard input, and the process must exit.
func aside(b *testing.B, environmentVariable string) (stdin io.Writer, stdout io.Reader) {
	b.Helper()
	p := startProgram(b, []string{"nice", "-n", "19"}, environmentVariable, "1")
	return p.in, p.out
}

type program struct {
	in  io.Writer
	out io.Reader
	pid int
}

// startProgram runs this test binary as a child process. The words in command, for example "nice -n 19", precede the
// path of the binary on the command line. The environment variable selects the main function of the process. At the end
// of the benchmark, startProgram closes the standard input, and the process must exit.
func startProgram(b *testing.B, command []string, environmentVariable, value string) program {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	command = append(command, self)
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // it ends with its input
	cmd.Env, cmd.Stderr = append(os.Environ(), environmentVariable+"="+value), os.Stderr
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

// runSender is the main function of a child process that sends requests for a benchmark. For each command on stdin,
// runSender sends concurrent requests to the server, and writes a report to stdout.
func runSender(stdin io.Reader, stdout io.Writer) error {
	orders, reports := json.NewDecoder(stdin), json.NewEncoder(stdout)
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
