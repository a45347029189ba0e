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
	// minTerminalTime is the smallest accepted time limit of terminals. minRecordingBytes is the smallest accepted size
	// of one recording.
	minTerminalTime   = time.Second
	minRecordingBytes = recording.MaxFileBytes
)

// TerminalOptions are the flags of terminals and file copies.
type TerminalOptions struct {
	// IdleTime bounds the time without activity in a terminal. MaxTime bounds the duration of a terminal.
	IdleTime, MaxTime time.Duration
	// CopyBytes bounds the bytes of a file copy.
	CopyBytes int64
	// DebugImage is the image of debug containers and of the Pods of node shells.
	DebugImage string

	// RecordTo is the directory of recordings, or s3://BUCKET/PREFIX. Terminals are not recorded if it is empty.
	RecordTo string
	// RecordBucket are the flags of the bucket.
	RecordBucket BucketOptions
	// RecordKeyFile is a file with the keys that encrypt recordings.
	RecordKeyFile string
	// RecordBytes bounds the bytes of all recordings. RecordAge bounds their age.
	RecordBytes int64
	RecordAge   time.Duration
	// RecordInput includes the input of users in recordings.
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
