// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	genericoptions "k8s.io/apiserver/pkg/server/options"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-base/tracing"
	tracingapi "k8s.io/component-base/tracing/api/v1"

	"github.com/kubevision-io/kubevision/pkg/version"
)

// TracingOptions contains the flags for tracing.
type TracingOptions struct {
	// ConfigFile is a file with a TracingConfiguration (apiserver.config.k8s.io), as for kube-apiserver. If it is
	// empty, tracing is disabled.
	ConfigFile string
	// Clusters contains the names of clusters. KubeVision's requests to these clusters contain a traceparent header.
	// "*" means all clusters.
	Clusters []string
}

// AddFlags adds the flags to fs.
func (o *TracingOptions) AddFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.ConfigFile, "tracing-config-file", o.ConfigFile,
		"File with a TracingConfiguration in the format of kube-apiserver. If empty, tracing is disabled.")
	fs.StringSliceVar(&o.Clusters, "trace-context-clusters", nil,
		"Names of the clusters to which calls carry the trace context (the header traceparent); * means all.")
}

// Provider returns the TracerProvider for the flags. It returns an error if the tracing configuration in o.ConfigFile
// cannot be read or is invalid.
func (o *TracingOptions) Provider(ctx context.Context) (tracing.TracerProvider, error) {
	if o.ConfigFile == "" {
		return tracing.NewNoopTracerProvider(), nil
	}
	config, err := genericoptions.ReadTracingConfiguration(o.ConfigFile)
	if err != nil {
		return nil, fmt.Errorf("--tracing-config-file: %w", err)
	}
	if errs := tracingapi.ValidateTracingConfiguration(config, utilfeature.DefaultFeatureGate, nil); len(errs) > 0 {
		return nil, fmt.Errorf("--tracing-config-file: %w", errs.ToAggregate())
	}
	instance, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("reading the name of the host: %w", err)
	}
	provider, err := tracing.NewProvider(ctx, config, nil, []resource.Option{resource.WithAttributes(
		attribute.String("service.name", "kubevision-apiserver"),
		attribute.String("service.version", version.Info().GitVersion),
		attribute.String("service.instance.id", instance),
	)})
	if err != nil {
		return nil, fmt.Errorf("configuring traces: %w", err)
	}
	return provider, nil
}
