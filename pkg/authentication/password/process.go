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
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

const (
	// niceIncrement is the increment of the nice value of the child process that computes hashes. With 10, a busy
	// thread of the server gets nine times as much processor time as a busy thread of the child process.
	niceIncrement = 10
	// childTimeout bounds the time that the child process takes for one hash. It is shorter than the time for which
	// logins wait.
	childTimeout = 2 * time.Second
	// startPause is the minimum time between the failure of a child process and the start of the next one.
	startPause = time.Second
	// slowPause is the time for which no child process is started after one has failed to start or to respond in time.
	slowPause = time.Minute
	burstGap  = 10 * time.Millisecond
	// idleTime is how long the child process runs after the last hash computation that needed it. The process ends to
	// free its memory.
	idleTime = 10 * time.Second
	// freeDelay is how long the child process keeps unused memory after the computation of a hash. Then, it returns the
	// memory to the kernel.
	freeDelay = 200 * time.Millisecond
	// childMemory is the soft memory limit (GOMEMLIMIT) of the child process. Together with the GOMEMLIMIT of the
	// server, it is below the memory limit of the container.
	childMemory = "128MiB"
	// childGC is the value of GOGC in the child process.
	childGC = "25"

	processService = "Hash"
	keyMethod      = processService + ".Key"
)

// Process computes the hashes of passwords in a child process with a low CPU priority, so that many logins at once do
// not delay other requests. Process starts the child process if hash computations overlap or follow each other closely.
// A child process that is ready computes all hashes. While no child process is ready, the Hasher computes the hashes in
// the server process. The child process ends some seconds after it was last needed.
type Process struct {
	command     []string
	concurrency int
	timeout     time.Duration
	pause       time.Duration
	idle        time.Duration

	mu       sync.Mutex
	child    *child // nil while no child is ready
	starting bool
	// notBefore is the time before which no child process is started.
	notBefore time.Time
	// running is the number of hashes in progress, in the child process and in the server process.
	running int
	// lastEnd is the time at which the last hash was complete.
	lastEnd time.Time
	// lastNeeded is the last time at which the child process was needed or became ready. The child process ends when
	// the duration in the field idle has passed since lastNeeded.
	lastNeeded time.Time
	// calls is the number of hashes that the child process must compute and has not completed.
	calls int
}

// NewProcess returns a Process that runs the given command, a program with its arguments, as the child process. The
// program must call Serve. The child process uses at most the given number of processors.
func NewProcess(concurrency int, command ...string) *Process {
	return &Process{command: command, concurrency: concurrency, timeout: childTimeout, pause: startPause,
		idle: idleTime}
}

// done records that the computation of a hash has ended. The caller must call done once for each call of begin, even if
// the hash was not computed in the child process.
func (p *Process) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	p.lastEnd = time.Now()
}

// KeyRequest contains the parameters of a hash. It is exported for net/rpc.
type KeyRequest struct {
	// Password is the password to hash. The sender has already normalized the password with the profile OpaqueString
	// (RFC 8265).
	Password, Salt []byte
	Cost           Parameters
	// Length is the length of the key in bytes.
	Length uint32
}

// service is the net/rpc service that the child process provides.
type service struct {
	// freeTimer expires some time after the last hash computation. The process then returns memory to the kernel.
	freeTimer *time.Timer
}

func newService() service {
	return service{freeTimer: time.AfterFunc(freeDelay, debug.FreeOSMemory)}
}

// Key computes the argon2id hash of the password in r, and stores the bytes of the hash in *key. The returned error is
// always nil. Key has this result only because net/rpc requires a method that returns an error.
func (s service) Key(r KeyRequest, key *[]byte) error {
	s.freeTimer.Stop()
	runtime.GC() // Without it, two successive calls would need twice the memory of one call.
	*key = r.key()
	s.freeTimer.Reset(freeDelay)
	return nil
}

// Serve is the main function of the child process. It lowers the priority of the current process. Then it reads the
// requests of a Process and writes the hashes, until the input ends.
func Serve(in io.ReadCloser, out io.WriteCloser) error {
	if err := lowerPriority(niceIncrement); err != nil {
		klog.Background().Error(err, "Failed to lower the priority of the process that hashes passwords")
	}
	server := rpc.NewServer()
	if err := server.RegisterName(processService, newService()); err != nil {
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

// key derives a key from a password in the child process. It returns false if no child process is ready, if the child
// process ends, or if the child process exceeds the timeout. It does not wait for the start of a child process.
func (p *Process) key(r KeyRequest) ([]byte, bool) {
	c := p.begin()
	if c == nil {
		return nil, false
	}
	defer p.endCall()
	key, err := c.key(r, p.timeout)
	if err != nil {
		p.discard(c, err)
	}
	return key, err == nil
}

// begin records that the computation of a hash begins, and returns the child process that must compute the hash. If
// the result is nil, the server process must compute the hash. Otherwise, the caller must call endCall after the
// computation.
func (p *Process) begin() *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	// A single client that logs in repeatedly makes longer pauses than burstGap.
	needed := p.running > 0 || now.Sub(p.lastEnd) < burstGap
	p.running++
	if needed {
		p.lastNeeded = now
	}
	if p.child != nil {
		p.calls++
		return p.child
	}
	// The low priority of a child process would only delay a single hash.
	if needed && !p.starting && !now.Before(p.notBefore) {
		p.starting = true
		go p.start()
	}
	return nil
}

func (p *Process) endCall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls--
}

func (p *Process) endWhenIdle(c *child) {
	for wait := p.idle; ; {
		select {
		case <-time.After(wait):
		case <-c.ended:
			return
		}
		if wait = p.endIfIdle(c); wait <= 0 {
			return
		}
	}
}

// endIfIdle ends the child process c if c was not needed for the time p.idle. It returns the time until the next check,
// or 0 if c needs no further check.
func (p *Process) endIfIdle(c *child) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != c { // c was discarded
		return 0
	}
	if p.calls > 0 { // c is computing a hash
		return p.idle
	}
	if wait := time.Until(p.lastNeeded.Add(p.idle)); wait > 0 {
		return wait
	}
	p.child = nil
	_ = c.client.Close() // the child ends with its input; an error means that it has ended
	return 0
}

// start starts a child process. The child process becomes available after it has computed its first hash.
func (p *Process) start() {
	c, err := p.startChild()
	if err == nil {
		cheap := Parameters{Memory: 8, Time: 1, Threads: 1}
		if _, err = c.key(KeyRequest{Cost: cheap, Salt: make([]byte, minSalt), Length: minKey}, slowPause); err != nil {
			_ = c.cmd.Process.Kill() // an error means that the child has ended
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starting = false
	if err != nil {
		klog.Background().Error(err, "Failed to start the child process that hashes passwords", "retryAfter", slowPause)
		p.notBefore = time.Now().Add(slowPause)
		return
	}
	p.child, p.lastNeeded = c, time.Now()
	go p.endWhenIdle(c)
}

// discard kills a child process that has failed. The next child process starts after a pause.
func (p *Process) discard(c *child, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != c { // another call has discarded the child
		return
	}
	pause := p.pause
	if errors.Is(err, errSlow) {
		pause = slowPause // probably, no processor is free
	}
	klog.Background().Error(err, "The child process that hashes passwords has failed", "retryAfter", pause)
	p.child, p.notBefore = nil, time.Now().Add(pause)
	_ = c.cmd.Process.Kill() // an error means that the child has ended
}

// errSlow is returned if the child process does not respond in time.
var errSlow = errors.New("the child process does not respond")

// child is a child process that computes hashes.
type child struct {
	cmd    *exec.Cmd
	client *rpc.Client
	ended  chan struct{}
}

func (p *Process) startChild() (*child, error) {
	cmd := exec.Command(p.command[0], p.command[1:]...) //nolint:gosec,noctx // this program; it ends with its input
	if self, err := os.Executable(); err == nil {
		cmd.Args[0] = filepath.Base(self) // the command may be a link of proc(5)
	}
	cmd.Env, cmd.Stderr = append(os.Environ(),
		"GOMAXPROCS="+strconv.Itoa(max(p.concurrency, 1)), "GOMEMLIMIT="+childMemory, "GOGC="+childGC), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("creating a pipe: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("creating a pipe: %w", errors.Join(err, in.Close()))
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	c := &child{cmd: cmd, client: rpc.NewClient(pipes{out, in}), ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		_ = cmd.Wait()       // the next call fails
		_ = c.client.Close() // ErrShutdown if the pipe has ended first
	}()
	return c, nil
}

// key derives a key from a password in the child process. It returns errSlow if the child process does not respond
// within the timeout.
func (c *child) key(r KeyRequest, timeout time.Duration) ([]byte, error) {
	var key []byte
	call := c.client.Go(keyMethod, r, &key, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		if call.Error != nil {
			return nil, fmt.Errorf("hashing a password in the child process: %w", call.Error)
		}
		return key, nil
	case <-time.After(timeout):
		return nil, errSlow
	}
}
