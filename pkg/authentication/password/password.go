// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package password hashes and verifies passwords with argon2id (RFC 9106). Hashes are PHC strings. If many passwords
// are hashed within a short time, a child process computes the hashes, so that they do not delay other requests.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/text/secure/precis"

	"github.com/kubevision-io/kubevision/pkg/userlimit"
)

const (
	// MaxLength bounds the length of a password in bytes. Longer passwords are rejected without hashing.
	MaxLength = 1024

	saltLength = 16
	keyLength  = 32
)

// Parameters is the cost of a hash.
type Parameters struct {
	// Memory is the memory that is needed to compute the hash, in KiB.
	Memory uint32
	// Time is the number of passes over the memory.
	Time uint32
	// Threads is the degree of parallelism.
	Threads uint8
}

// recommended returns the cost of new hashes: 19 MiB and two passes, a configuration of the OWASP Password Storage
// Cheat Sheet.
func recommended() Parameters { return Parameters{Memory: 19 * 1024, Time: 2, Threads: 1} }

// Bounds of the values in a PHC string from a password Secret: the cost of the hash, and the lengths of the key and the
// salt in bytes. The largest common default of other programs, 64 MiB with four passes, is within the bounds. Without
// bounds, the author of the Secret could occupy the Hasher and much memory with each login.
const (
	maxMemory  = 64 * 1024
	maxTime    = 16
	maxThreads = 4
	// maxWork bounds the product of Parameters.Memory and Parameters.Time. The time to compute a hash is proportional
	// to this product.
	maxWork = 4 * maxMemory

	minKey  = 16
	maxKey  = 64
	minSalt = 8
	maxSalt = 64
)

var (
	// ErrMismatch is returned for a wrong password, and for a password that is longer than MaxLength.
	ErrMismatch = errors.New("password does not match")
	// ErrBusy is returned when too many passwords are waiting for the Hasher.
	ErrBusy = errors.New("too many passwords are waiting to be hashed")
)

// maxWaiting bounds the number of passwords that wait for the Hasher. With two concurrent hashes, the last password in
// the queue waits for about two seconds.
const maxWaiting = 64

// newAtOnce bounds the number of new passwords that are being hashed or wait in the queue of the Hasher. Further new
// passwords wait outside the queue, so that they do not delay logins.
const newAtOnce = 1

// Hash is a parsed argon2id hash. Its method String returns the PHC string, for example
// $argon2id$v=19$m=19456,t=2,p=1$<salt>$<key>.
type Hash struct {
	params Parameters
	salt   []byte
	key    []byte
}

// Placeholder returns a hash that no password matches. Dry runs use it, because hashing a password is expensive.
func Placeholder() Hash {
	return Hash{params: recommended(), salt: make([]byte, saltLength), key: make([]byte, keyLength)}
}

// Hasher hashes passwords, and bounds the memory of concurrent hashes.
type Hasher struct {
	cost Parameters
	// slots is a semaphore that limits the number of concurrent hashes. A new hash takes one slot. An imported hash
	// that needs more memory takes several slots, or all of them.
	slots   *semaphore.Weighted
	size    int64
	waiting chan struct{}
	// newPasswords limits the number of concurrent calls of HashNew, for all users together, to newAtOnce. A user with
	// many waiting calls does not delay the calls of other users.
	newPasswords *userlimit.Limiter
	dummy        Hash
	// process computes the hashes in a child process. If process is nil or fails, the Hasher computes the hash in the
	// current process.
	process *Process
}

// NewHasher returns a Hasher with the given number of concurrent hashes. If process is nil, the Hasher computes the
// hashes in the current process.
func NewHasher(ctx context.Context, concurrency int, process *Process) (*Hasher, error) {
	return newHasher(ctx, concurrency, recommended(), process)
}

func newHasher(ctx context.Context, concurrency int, cost Parameters, process *Process) (*Hasher, error) {
	size := int64(max(concurrency, 1))
	h := &Hasher{
		cost: cost, slots: semaphore.NewWeighted(size), size: size, waiting: make(chan struct{}, maxWaiting),
		newPasswords: userlimit.New(newAtOnce, newAtOnce), process: process,
	}
	dummy, err := h.Hash(ctx, rand.Text())
	if err != nil {
		return nil, fmt.Errorf("hashing a random password: %w", err)
	}
	h.dummy = dummy
	return h, nil
}

// Hash hashes a password with a new salt. If the maximum number of hashes is being computed, Hash waits until one of
// them is complete or ctx ends. It returns ErrBusy if maxWaiting passwords wait already. A password longer than
// MaxLength can match no hash. For such a password, Hash returns ErrMismatch.
func (h *Hasher) Hash(ctx context.Context, password string) (Hash, error) {
	salt := make([]byte, saltLength)
	if _, err := rand.Read(salt); err != nil {
		return Hash{}, fmt.Errorf("reading randomness for a salt: %w", err)
	}
	key, err := h.derive(ctx, password, salt, h.cost, keyLength)
	if err != nil {
		return Hash{}, err
	}
	return Hash{params: h.cost, salt: salt, key: key}, nil
}

// HashNew hashes a new password of a user with a new salt. New passwords are hashed one after the other, so that they
// do not delay logins. The users take turns, so that many passwords of one user do not delay other users. HashNew
// returns ErrBusy if too many passwords are waiting. A password longer than MaxLength can match no hash. For
// such a password, HashNew returns ErrMismatch.
func (h *Hasher) HashNew(ctx context.Context, user, password string) (Hash, error) {
	leave, err := h.newPasswords.Enter(ctx, user)
	if err != nil {
		return Hash{}, fmt.Errorf("waiting for other new passwords: %w", err)
	}
	defer leave()
	return h.Hash(ctx, password)
}

// Verify compares a password with a hash in constant time. It returns ErrMismatch for a wrong password.
func (h *Hasher) Verify(ctx context.Context, password string, hash Hash) error {
	key, err := h.derive(ctx, password, hash.salt, hash.params, uint32(len(hash.key))) //nolint:gosec // at most maxKey
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(key, hash.key) != 1 {
		return ErrMismatch
	}
	return nil
}

// VerifyDummy takes as long as Verify, and always fails. It is used for users who do not exist or have no password.
func (h *Hasher) VerifyDummy(ctx context.Context, password string) error {
	if err := h.Verify(ctx, password, h.dummy); err != nil {
		return err
	}
	return ErrMismatch
}

func (h *Hasher) derive(
	ctx context.Context, password string, salt []byte, p Parameters, length uint32,
) ([]byte, error) {
	if len(password) > MaxLength {
		return nil, ErrMismatch
	}
	n := h.slotsFor(p)
	if err := h.enter(ctx, n); err != nil {
		return nil, err
	}
	defer h.slots.Release(n)
	begun := time.Now()
	defer func() { hashes.Observe(time.Since(begun).Seconds()) }()
	r := KeyRequest{Password: []byte(normalize(password)), Salt: salt, Cost: p, Length: length}
	if h.process != nil {
		defer h.process.done()
		if key, ok := h.process.key(r); ok {
			return key, nil
		}
	}
	return r.key(), nil
}

func (r KeyRequest) key() []byte {
	return argon2.IDKey(r.Password, r.Salt, r.Cost.Time, r.Cost.Memory, r.Cost.Threads, r.Length)
}

// normalize applies the profile OpaqueString (RFC 8265) to a password before it is hashed. Keyboards and systems may
// encode the same character with different code points, and use different spaces. Without the profile, a user could not
// log in from another system. If the profile rejects a password, normalize returns the password unchanged.
func normalize(password string) string {
	if !utf8.ValidString(password) {
		return password
	}
	normal, err := precis.OpaqueString.String(password)
	if err != nil {
		return password
	}
	return normal
}

// slotsFor returns the number of slots in h.slots that a hash takes. The number is proportional to the memory of the
// hash, but is at most the number of all slots.
func (h *Hasher) slotsFor(p Parameters) int64 {
	return min((int64(p.Memory)+int64(h.cost.Memory)-1)/int64(h.cost.Memory), h.size)
}

// enter acquires the given number of slots in h.slots. It waits until they are free. It returns ErrBusy if maxWaiting
// passwords already wait, and another error if ctx ends first. The caller must release the slots after the hash was
// computed.
func (h *Hasher) enter(ctx context.Context, n int64) error {
	if h.slots.TryAcquire(n) {
		return nil
	}
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return ErrBusy
	}
	if err := h.slots.Acquire(ctx, n); err != nil {
		return fmt.Errorf("waiting for a place to hash a password: %w", err)
	}
	return nil
}

// String returns the hash in PHC string format.
func (h Hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.params.Memory, h.params.Time,
		h.params.Threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.key))
}

// NeedsRehash returns true if new hashes are computed with more memory or more passes than h, or have a longer key. The
// key is the output of Argon2.
func (h Hash) NeedsRehash() bool {
	r := recommended()
	return h.params.Memory < r.Memory || h.params.Time < r.Time || len(h.key) < keyLength
}

// IsHash returns true if a value begins like a PHC string of Argon2. It does not validate the rest, unlike Parse.
func IsHash(value string) bool { return strings.HasPrefix(value, "$argon2") }

// Parse parses a PHC string. It accepts only argon2id of version 19, and only a cost, a salt and a key within the
// bounds.
func Parse(value string) (Hash, error) {
	parts := strings.Split(value, "$")
	if strings.ContainsAny(value, "\r\n") { // the base64 decoder ignores line breaks
		return Hash{}, errors.New("a hash must be one line without a trailing line feed")
	}
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return Hash{}, errors.New("not an argon2id hash in PHC string format")
	}
	if parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return Hash{}, fmt.Errorf("argon2 version must be %d", argon2.Version)
	}
	params, err := parseParameters(parts[3])
	if err != nil {
		return Hash{}, err
	}
	salt, err := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	if err != nil || len(salt) < minSalt || len(salt) > maxSalt {
		return Hash{}, fmt.Errorf("salt must be %d to %d bytes in base64 without padding", minSalt, maxSalt)
	}
	key, err := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err != nil || len(key) < minKey || len(key) > maxKey {
		return Hash{}, fmt.Errorf("key must be %d to %d bytes in base64 without padding", minKey, maxKey)
	}
	return Hash{params: params, salt: salt, key: key}, nil
}

func parseParameters(value string) (Parameters, error) {
	fields := strings.Split(value, ",")
	if len(fields) != 3 {
		return Parameters{}, errors.New("parameters must be m=,t=,p=")
	}
	memory, err := parameter(fields[0], "m=", 8, maxMemory)
	if err != nil {
		return Parameters{}, err
	}
	passes, err := parameter(fields[1], "t=", 1, maxTime)
	if err != nil {
		return Parameters{}, err
	}
	threads, err := parameter(fields[2], "p=", 1, maxThreads)
	if err != nil {
		return Parameters{}, err
	}
	if memory < 8*threads {
		return Parameters{}, errors.New("m must be at least 8 times p")
	}
	if memory*passes > maxWork {
		return Parameters{}, fmt.Errorf("m times t must be at most %d", maxWork)
	}
	return Parameters{Memory: memory, Time: passes, Threads: uint8(threads)}, nil //nolint:gosec // bounded
}

func parameter(field, prefix string, least, most uint32) (uint32, error) {
	digits, ok := strings.CutPrefix(field, prefix)
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil || strconv.FormatUint(n, 10) != digits || n < uint64(least) || n > uint64(most) {
		return 0, fmt.Errorf("%s must be a number from %d to %d", prefix, least, most)
	}
	return uint32(n), nil
}
