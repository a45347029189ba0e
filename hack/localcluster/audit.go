// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"fmt"
	"os"
	"path/filepath"
)

// auditPolicy makes kube-apiserver record the metadata of the requests that KubeVision sends on behalf of users.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["system:serviceaccount:kubevision-system:kubevision-impersonator"]
- level: None
`

// AuditLog returns the file in which kube-apiserver records the requests that KubeVision sends on behalf of users.
func (c *Cluster) AuditLog() string { return filepath.Join(c.dir, logsDir, "audit.log") }

func (c *Cluster) writeAuditPolicy() (string, error) {
	path := filepath.Join(c.dir, "audit-policy.yaml")
	if err := os.WriteFile(path, []byte(auditPolicy), 0o600); err != nil {
		return "", fmt.Errorf("write the audit policy: %w", err)
	}
	return path, nil
}
