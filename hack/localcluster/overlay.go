// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// overlayTemplate is a kustomization of the manifests of KubeVision for programs that run outside of the cluster. It
// removes the Deployments. It changes the type of the Service to ExternalName, with the host localhost. For the
// APIService, kube-apiserver then connects to kubevision-apiserver on localhost.
const overlayTemplate = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
%[1]s
patches:
- target: {kind: Service, name: kubevision-apiserver}
  patch: |-
    - op: replace
      path: /spec
      value:
        type: ExternalName
        externalName: localhost
        ports: [{name: https, port: %[2]d, protocol: TCP}]
- target: {kind: APIService, name: %[3]s}
  patch: |-
    - op: add
      path: /spec/service/port
      value: %[2]d
- target: {kind: Deployment}
  patch: |-
    $patch: delete
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: any}
`

// writeOverlay writes a kustomization to the directory dir. It includes the folders crd, rbac and apiserver of
// configDir, and the folders admission and templates if they exist. It removes the Deployments, because the programs of
// KubeVision run outside of the cluster.
func writeOverlay(dir, configDir string, port int) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create the overlay's folder: %w", err)
	}
	bases, err := overlayBases(dir, configDir)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(overlayTemplate, "- "+strings.Join(bases, "\n- "), port, apiServiceName)
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the overlay: %w", err)
	}
	return nil
}

// overlayBases returns the installation's folders relative to the overlay, since kustomize accepts no absolute paths.
func overlayBases(dir, configDir string) ([]string, error) {
	from, err := realPath(dir)
	if err != nil {
		return nil, err
	}
	to, err := realPath(configDir)
	if err != nil {
		return nil, err
	}
	var bases []string
	for _, base := range []struct {
		name     string
		optional bool
	}{{"crd", false}, {"rbac", false}, {"apiserver", false}, {"admission", true}, {"templates", true}} {
		path := filepath.Join(to, base.name)
		if _, err := os.Stat(filepath.Join(path, "kustomization.yaml")); err != nil {
			if base.optional && errors.Is(err, os.ErrNotExist) {
				continue
			}
			return nil, fmt.Errorf("find the installation's folder %s: %w", base.name, err)
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return nil, fmt.Errorf("find the way from the overlay to %s: %w", path, err)
		}
		bases = append(bases, filepath.ToSlash(relative))
	}
	return bases, nil
}

func realPath(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err == nil {
		absolute, err = filepath.EvalSymlinks(absolute)
	}
	if err != nil {
		return "", fmt.Errorf("resolve %s: %w", path, err)
	}
	return absolute, nil
}
