// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"time"

	"github.com/spf13/pflag"
)

const (
	// defaultLeaseDuration is the default of --leader-elect-lease-duration, as in kube-controller-manager.
	defaultLeaseDuration = 15 * time.Second
	// defaultRenewDeadline is the default of --leader-elect-renew-deadline, as in kube-controller-manager.
	defaultRenewDeadline = 10 * time.Second
	// defaultRetryPeriod is the default of --leader-elect-retry-period, as in kube-controller-manager.
	defaultRetryPeriod = 2 * time.Second
)

// election contains the flags for leader election.
type election struct {
	enabled bool
	// leaseDuration is the time after which another replica may acquire a lease that was not renewed.
	leaseDuration time.Duration
	// renewDeadline is the time for which the leader tries to renew its lease. After this time, it exits.
	renewDeadline time.Duration
	// retryPeriod is the time between two attempts to acquire or renew the lease.
	retryPeriod time.Duration
}

func (e *election) addFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&e.enabled, "leader-elect", true,
		"Reconcile only while holding a lease, so that several replicas can run.")
	fs.DurationVar(&e.leaseDuration, "leader-elect-lease-duration", defaultLeaseDuration,
		"Time after which another replica may take over a lease that is not renewed, in whole seconds.")
	fs.DurationVar(&e.renewDeadline, "leader-elect-renew-deadline", defaultRenewDeadline,
		"Time after which a replica exits if it cannot renew its lease.")
	fs.DurationVar(&e.retryPeriod, "leader-elect-retry-period", defaultRetryPeriod,
		"Time between two attempts to acquire or renew the lease.")
}

func (e *election) validate() error {
	const jitter = 1.2 // JitterFactor of k8s.io/client-go/tools/leaderelection
	switch {
	case e.leaseDuration <= e.renewDeadline:
		return errors.New("--leader-elect-lease-duration must be longer than --leader-elect-renew-deadline")
	case e.retryPeriod <= 0, float64(e.renewDeadline) <= jitter*float64(e.retryPeriod):
		return errors.New("--leader-elect-renew-deadline must be longer than 1.2 times --leader-elect-retry-period, " +
			"which must be positive")
	case e.leaseDuration%time.Second != 0:
		return errors.New("--leader-elect-lease-duration must be in whole seconds")
	}
	return nil
}
