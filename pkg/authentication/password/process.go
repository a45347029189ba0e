// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

const (
	// processNice is the increment of the nice value of a Process. At 10, a busy thread of the server gets nine times
	// as much time of a processor.
	processNice = 10
	// processTimeout bounds the time that a Process takes for one hash.
	processTimeout = 10 * time.Second
	// startInterval is the minimum time between two starts of a Process.
	startInterval = time.Second

	processService = "Hash"
	keyMethod      = processService + ".Key"
)

// Process computes hashes in a child process of low CPU priority, so that other requests do not wait for a processor
// during a flood of logins. It starts the child at the first hash, and again if the child has ended. The child ends
// with this process, because its standard input ends.
type Process struct {
	command     []string
	concurrency int
	timeout     time.Duration
	interval    time.Duration

	mu      sync.Mutex
	child   *child
	started time.Time
}

// NewProcess returns a Process. command is a program that calls Serve, and its arguments. concurrency is the number of
// processors that it may use.
func NewProcess(concurrency int, command ...string) *Process {
	return &Process{
		command: command, concurrency: concurrency, timeout: processTimeout, interval: startInterval,
	}
}

// KeyRequest contains the parameters of a hash. It is exported for net/rpc.
type KeyRequest struct {
	// Password is normalized.
	Password, Salt []byte
	Cost           Parameters
	// Length is the length of the key in bytes.
	Length uint32
}

// service is the service of the child.
type service struct{}

// Key computes a key for net/rpc. It never returns an error.
func (service) Key(r KeyRequest, key *[]byte) error {
	*key = r.key()
	return nil
}

// Serve computes the hashes of a Process until the input ends. It is the main function of the child.
func Serve(in io.ReadCloser, out io.WriteCloser) error {
	server := rpc.NewServer()
	if err := server.RegisterName(processService, service{}); err != nil {
		return fmt.Errorf("registering the service that hashes passwords: %w", err)
	}
	server.ServeConn(pipes{in, out})
	return nil
}

// pipes is a connection that consists of two pipes.
type pipes struct {
	io.ReadCloser
	io.WriteCloser
}

// Close implements io.Closer.
func (p pipes) Close() error { return errors.Join(p.ReadCloser.Close(), p.WriteCloser.Close()) }

// key computes a key in the child. It returns false if the child does not run, ends, or exceeds the timeout.
func (p *Process) key(r KeyRequest) ([]byte, bool) {
	c := p.running()
	if c == nil {
		return nil, false
	}
	var key []byte
	call := c.client.Go(keyMethod, r, &key, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return key, call.Error == nil && len(key) == int(r.Length)
	case <-time.After(p.timeout):
		klog.Background().Info("Killed the process that hashes passwords, because it did not respond", "timeout",
			p.timeout)
		_ = c.cmd.Process.Kill() // an error means that it has ended
		return nil, false
	}
}

// child is one run of the child process.
type child struct {
	cmd    *exec.Cmd
	client *rpc.Client
	ended  chan struct{}
}

// running returns the child, and starts it if it does not run. It returns nil if the start fails, or if the last start
// was less than the interval ago.
func (p *Process) running() *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil {
		select {
		case <-p.child.ended:
		default:
			return p.child
		}
	}
	p.child = nil
	if !p.started.IsZero() && time.Since(p.started) < p.interval {
		return nil
	}
	p.started = time.Now()
	c, err := p.start()
	if err != nil {
		klog.Background().Error(err, "Failed to start the child process that hashes passwords. Hashing passwords without it")
		return nil
	}
	p.child = c
	return c
}

func (p *Process) start() (*child, error) {
	cmd := exec.Command(p.command[0], p.command[1:]...) //nolint:gosec,noctx // this program; it ends with its input
	cmd.Env, cmd.Stderr = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(max(p.concurrency, 1))), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("creating a pipe: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("creating a pipe: %w", errors.Join(err, in.Close()))
	}
	if err := startNice(cmd, processNice); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, client: rpc.NewClient(pipes{out, in}), ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		err := cmd.Wait()
		_ = c.client.Close() // ErrShutdown if the pipe has ended first
		klog.Background().Info("The process that hashes passwords has ended", "pid", cmd.Process.Pid, "err", err)
	}()
	return c, nil
}
