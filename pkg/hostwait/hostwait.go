// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hostwait lets a program wait at its start until the API server of the host cluster is ready. If the program
// exited instead, Kubernetes would restart it with increasing delays.
package hostwait

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

const (
	// askTimeout bounds one request to /readyz.
	askTimeout = 3 * time.Second
	// pause is the time between two requests to /readyz.
	pause = time.Second
	// repeatLog is the time between two log lines while the program waits.
	repeatLog = 15 * time.Second

	readHeaderTimeout = 5 * time.Second
	maxHeaderBytes    = 16 << 10
)

// Listen opens the listener on which Await serves the probes of the program. If it returns a nil listener, no probes
// are served.
type Listen func(context.Context) (net.Listener, error)

// Await waits until the API server of the host cluster is ready. It returns an error if ctx ends first. While it waits,
// it serves the given handler on the listener that listen opens. It closes the listener before it returns.
func Await(ctx context.Context, config *rest.Config, listen Listen, handler http.Handler) error {
	config = rest.CopyConfig(config)
	config.Timeout = askTimeout
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("creating a client for the host: %w", err)
	}
	defer client.CloseIdleConnections()
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return fmt.Errorf("reading the address of the host: %w", err)
	}
	target := base.JoinPath("readyz").String()
	missing := ask(ctx, client, target)
	if missing == nil {
		return nil
	}
	stop, err := serve(ctx, listen, handler)
	if err != nil {
		return err
	}
	defer stop()
	logger, said := klog.FromContext(ctx), time.Time{}
	for missing != nil {
		if now := time.Now(); now.Sub(said) >= repeatLog {
			logger.Info("Waiting for the API server of the host cluster", "server", base.Host, "err", missing)
			said = now
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the API server of the host cluster: %w", ctx.Err())
		case <-time.After(pause):
		}
		missing = ask(ctx, client, target)
	}
	logger.Info("The API server of the host cluster responds", "server", base.Host)
	return nil
}

// ask requests /readyz. It returns an error if there is no response, or if the status is 429, or 500 or more. Another
// status, for example 403, means that the API server is ready.
func ask(ctx context.Context, client *http.Client, target string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return fmt.Errorf("calling the host: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("calling the host: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusTooManyRequests {
		return fmt.Errorf("the host is not ready: HTTP %d", response.StatusCode)
	}
	return nil
}

func serve(ctx context.Context, listen Listen, handler http.Handler) (stop func(), err error) {
	listener, err := listen(ctx)
	if err != nil {
		return nil, err
	}
	if listener == nil {
		return func() {}, nil
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: readHeaderTimeout, MaxHeaderBytes: maxHeaderBytes}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // Close ends Serve
	}()
	return func() {
		_ = server.Close()
		<-ended
	}, nil
}

// Probes returns a handler that responds to /livez and /healthz with 200 and to /readyz with 503. It passes all other
// requests to next.
func Probes(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/livez", "/healthz"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) })
	}
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "waiting for the API server of the host cluster", http.StatusServiceUnavailable)
	})
	mux.Handle("/", next)
	return mux
}
