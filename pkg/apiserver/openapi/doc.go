// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

// Package openapi contains the OpenAPI definitions of the types of the dashboard's API, which are generated from the
// Go types and their comments.
package openapi
