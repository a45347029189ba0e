// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kubevision-io/kubevision/pkg/certificates"
)

const (
	// FrontProxyName is the common name of the aggregation layer's client certificate. kube-apiserver and extension API
	// servers accept no other name (--requestheader-allowed-names).
	FrontProxyName = "front-proxy-client"

	controllerManagerUser = "system:kube-controller-manager"
	firstServiceIP        = "10.96.0.1"

	// clusterCA is the file name of the cluster's CA certificate and key, without the extension.
	clusterCA = "ca"
	// etcdCA is the file name of etcd's CA certificate and key, without the extension.
	etcdCA = "etcd-ca"
	// frontProxyCA is the file name of the aggregation layer's CA certificate and key, without the extension.
	frontProxyCA = "front-proxy-ca"

	tokenKeyFile = "sa.key"
)

// pki contains the CAs and the client certificates of one cluster. It has separate CAs, as a real cluster has.
type pki struct {
	cluster           KeyPair
	admin             KeyPair
	etcd              KeyPair
	frontProxy        KeyPair
	frontProxyClient  KeyPair
	controllerManager KeyPair
	etcdClient        KeyPair
	kubeletClient     KeyPair
}

// newPKI creates the keys of a cluster. It reuses the CAs of an earlier run in dir. The kubeconfigs of that run
// therefore remain valid.
func newPKI(dir string) (*pki, error) {
	keys := &pki{}
	for _, authority := range []struct {
		file, name string
		into       *KeyPair
	}{
		{clusterCA, "kubernetes", &keys.cluster},
		{etcdCA, "etcd", &keys.etcd},
		{frontProxyCA, "front-proxy", &keys.frontProxy},
	} {
		pair, err := readKeyPair(dir, authority.file)
		if errors.Is(err, os.ErrNotExist) {
			pair, err = NewAuthority(authority.name)
		}
		if err != nil {
			return nil, err
		}
		*authority.into = pair
	}
	for _, client := range []struct {
		authority KeyPair
		into      *KeyPair
		name      string
		groups    []string
	}{
		{keys.cluster, &keys.admin, adminUser, []string{adminGroup}},
		{keys.cluster, &keys.controllerManager, controllerManagerUser, nil},
		{keys.frontProxy, &keys.frontProxyClient, FrontProxyName, nil},
		{keys.etcd, &keys.etcdClient, "kube-apiserver", nil},
		{keys.cluster, &keys.kubeletClient, kubeletClientName, nil},
	} {
		pair, err := client.authority.IssueClient(client.name, client.groups...)
		if err != nil {
			return nil, err
		}
		*client.into = pair
	}
	return keys, nil
}

// write stores the keys and certificates of the control plane as files in dir. The serving certificate of
// kube-apiserver is valid for loopback addresses and for the given addresses.
func (keys *pki) write(dir string, addresses ...string) error {
	apiServer, err := keys.cluster.IssueServing(append([]string{"localhost", loopback, "::1", firstServiceIP,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		addresses...)...)
	if err != nil {
		return err
	}
	controllerManager, err := keys.cluster.IssueServing("localhost", loopback)
	if err != nil {
		return err
	}
	etcd, err := keys.etcd.issuePeer("localhost", loopback)
	if err != nil {
		return err
	}
	kubelet, err := keys.cluster.IssueServing("localhost", loopback)
	if err != nil {
		return err
	}
	for name, pair := range map[string]KeyPair{
		clusterCA:                    keys.cluster,
		etcdCA:                       keys.etcd,
		"etcd":                       etcd,
		"etcd-client":                keys.etcdClient,
		frontProxyCA:                 keys.frontProxy,
		"front-proxy-client":         keys.frontProxyClient,
		"apiserver":                  apiServer,
		"controller-manager-serving": controllerManager,
		"kubelet":                    kubelet,
		"kubelet-client":             keys.kubeletClient,
	} {
		if err := pair.write(dir, name); err != nil {
			return err
		}
	}
	return writeTokenKeys(dir)
}

// writeTokenKeys stores the keys that sign and verify service account tokens. It reuses the keys of an earlier run.
func writeTokenKeys(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, tokenKeyFile)); err == nil {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := certificates.EncodeKey(key)
	if err != nil {
		return err
	}
	public, err := encodePublicKey(key)
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"sa.pub": public, tokenKeyFile: private} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return fmt.Errorf("write the service account key: %w", err)
		}
	}
	return nil
}
