// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/kubevision-io/kubevision/pkg/authentication/password"
)

const hashPasswords = "hash-passwords"

// newHashCommand returns the command that the server runs in a child process to hash passwords.
func newHashCommand() *cobra.Command {
	return &cobra.Command{
		Use:    hashPasswords,
		Short:  "Hash passwords for the server that starts this command",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			// A signal to the process group must not end the child while the server completes the logins in progress.
			// The child ends when the server exits.
			signal.Ignore(os.Interrupt, syscall.SIGTERM)
			return password.Serve(os.Stdin, os.Stdout)
		},
	}
}

// hashCommand returns the command line of the child process that hashes passwords. It returns nil if the path of this
// program is unknown. The server then hashes passwords in its own process.
func hashCommand() []string {
	if runtime.GOOS == "linux" {
		return []string{"/proc/self/exe", hashPasswords} // the running version, even if its file was replaced
	}
	program, err := os.Executable()
	if err != nil {
		klog.Background().Error(err, "Failed to find the path of this program. Hashing passwords without a child")
		return nil
	}
	return []string{program, hashPasswords}
}
