// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestKeptAuthorities verifies that kubeconfigs and tokens remain valid in the next run in the same directory.
func TestKeptAuthorities(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := newPKI(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.write(dir); err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(dir, tokenKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	second, err := newPKI(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.write(dir); err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]KeyPair{
		clusterCA: {first.cluster, second.cluster}, etcdCA: {first.etcd, second.etcd},
		frontProxyCA: {first.frontProxy, second.frontProxy},
	} {
		if !bytes.Equal(pair[0].CertPEM, pair[1].CertPEM) || !bytes.Equal(pair[0].KeyPEM, pair[1].KeyPEM) {
			t.Errorf("the authority %s is another one", name)
		}
	}
	if bytes.Equal(first.admin.CertPEM, second.admin.CertPEM) {
		t.Error("the administrator's certificate is not renewed")
	}
	if again, err := os.ReadFile(filepath.Join(dir, tokenKeyFile)); err != nil || !bytes.Equal(token, again) {
		t.Errorf("the key of tokens is another one (%v)", err)
	}
}
