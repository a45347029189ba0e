// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/kubevision-io/kubevision/pkg/apiserver"
	"github.com/kubevision-io/kubevision/pkg/recording"
	"github.com/kubevision-io/kubevision/pkg/registry/filecopy"
	"github.com/kubevision-io/kubevision/pkg/registry/terminal"
)

const (
	// minTerminalTime is the minimum of --terminal-idle-time and --terminal-max-time.
	minTerminalTime = time.Second
	// minRecordingBytes is the minimum of --record-terminals-bytes.
	minRecordingBytes = recording.MaxFileBytes
)

// TerminalOptions contains the flags for terminals and file copies.
type TerminalOptions struct {
	// IdleTime is the time without input and output after which a terminal ends.
	IdleTime time.Duration
	// MaxTime bounds the duration of a terminal.
	MaxTime time.Duration
	// CopyBytes bounds the size of a file copy, in bytes.
	CopyBytes int64
	// DebugImage is the container image for debug containers and for the Pods of node shells.
	DebugImage string

	// RecordTo is the directory or bucket (s3://BUCKET/PREFIX) for recordings. If it is empty, terminals are not
	// recorded.
	RecordTo string
	// RecordBucket contains the flags for the S3 bucket of recordings. They must be empty if RecordTo is not a bucket.
	RecordBucket BucketOptions
	// RecordKeyFile is the path of a file with the keys that encrypt recordings. If the path is empty, recordings are
	// not encrypted.
	RecordKeyFile string
	// RecordBytes bounds the size of all recordings, in bytes. Beyond this limit, terminals are rejected.
	RecordBytes int64
	// RecordAge is the age at which a recording is deleted. If RecordAge is 0, recordings are not deleted.
	RecordAge time.Duration
	// RecordInput is true if recordings contain the input of users.
	RecordInput bool
}

func newTerminalOptions() TerminalOptions {
	return TerminalOptions{
		IdleTime: terminal.DefaultIdleTime, MaxTime: terminal.DefaultMaxTime, CopyBytes: filecopy.DefaultMaxBytes,
		DebugImage: terminal.DefaultDebugImage, RecordBytes: recording.DefaultBytes,
	}
}

func (o *TerminalOptions) addFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&o.IdleTime, "terminal-idle-time", o.IdleTime,
		"Time without input and output after which a terminal ends.")
	fs.DurationVar(&o.MaxTime, "terminal-max-time", o.MaxTime, "Maximum duration of a terminal.")
	fs.Int64Var(&o.CopyBytes, "copy-bytes", o.CopyBytes,
		"Maximum number of bytes of one file copy to or from a container.")
	fs.StringVar(&o.DebugImage, "debug-image", o.DebugImage,
		"Default image of debug containers and of the Pods of node shells.")
	fs.StringVar(&o.RecordTo, "record-terminals", o.RecordTo,
		"Directory, or s3://BUCKET/PREFIX, for recordings of terminals in the format of asciinema. A terminal "+
			"that cannot be recorded is refused. If empty, terminals are not recorded.")
	o.RecordBucket.addFlags(fs)
	fs.StringVar(&o.RecordKeyFile, "record-terminals-key-file", o.RecordKeyFile,
		"File with the keys that encrypt recordings: 32 bytes in base64 on each line. The first one encrypts, the "+
			"others decrypt older recordings.")
	fs.Int64Var(&o.RecordBytes, "record-terminals-bytes", o.RecordBytes,
		"Maximum number of bytes of all recordings. Beyond the limit, terminals are refused.")
	fs.DurationVar(&o.RecordAge, "record-terminals-age", o.RecordAge,
		"Age after which recordings are deleted; 0 keeps them.")
	fs.BoolVar(&o.RecordInput, "record-terminals-input", o.RecordInput,
		"Also record the input of terminals, including passwords. Input of commands without a terminal is always "+
			"recorded.")
}

func (o *TerminalOptions) validate() []error {
	var errs []error
	if o.IdleTime < minTerminalTime || o.MaxTime < minTerminalTime {
		errs = append(errs, fmt.Errorf("--terminal-idle-time and --terminal-max-time must be at least %s",
			minTerminalTime))
	}
	if o.CopyBytes < 0 || o.RecordAge < 0 {
		errs = append(errs, errors.New("--copy-bytes and --record-terminals-age must not be negative"))
	}
	if o.RecordBytes < minRecordingBytes {
		errs = append(errs, fmt.Errorf("--record-terminals-bytes must be at least %d", minRecordingBytes))
	}
	if o.RecordKeyFile != "" && o.RecordTo == "" {
		errs = append(errs, errors.New("--record-terminals-key-file requires --record-terminals"))
	}
	return append(errs, o.RecordBucket.validate(o.RecordTo, o.RecordKeyFile != "")...)
}

func (o *TerminalOptions) config() (apiserver.Terminals, error) {
	out := apiserver.Terminals{
		IdleTime: o.IdleTime, MaxTime: o.MaxTime, CopyBytes: o.CopyBytes, DebugImage: o.DebugImage,
	}
	if o.RecordTo == "" {
		return out, nil
	}
	settings := recording.Options{
		Dir: o.RecordTo, MaxBytes: o.RecordBytes, MaxAge: o.RecordAge, Input: o.RecordInput,
	}
	if isBucket(o.RecordTo) {
		bucket, err := o.RecordBucket.config(o.RecordTo)
		if err != nil {
			return out, err
		}
		settings.Dir, settings.Bucket = "", bucket
	}
	if o.RecordKeyFile != "" {
		text, err := os.ReadFile(o.RecordKeyFile)
		if err != nil {
			return out, fmt.Errorf("--record-terminals-key-file: %w", err)
		}
		if settings.Keys, err = recording.ParseKeys(text); err != nil {
			return out, fmt.Errorf("--record-terminals-key-file: %w", err)
		}
	}
	var err error
	if out.Recordings, err = recording.NewStore(settings); err != nil {
		return out, fmt.Errorf("--record-terminals: %w", err)
	}
	return out, nil
}
