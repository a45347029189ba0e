// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

const (
	objectStoreName = "versitygw"
	objectStoreDir  = "objects"
	sidecarDir      = "metadata-of-objects"
	directoryMode   = 0o700
)

// ObjectStore is an S3 server with a bucket.
type ObjectStore struct {
	*Program

	// Endpoint is the HTTPS URL of the S3 server.
	Endpoint string
	// Bucket is the name of the only bucket on the S3 server.
	Bucket string
	// Dir is the directory in which the S3 server stores the objects of the bucket.
	Dir string
	// CAFile is the path of the CA certificate with which clients verify the certificate of the S3 server.
	CAFile string
}

// StartObjectStore starts an S3 server with an empty bucket and the given credentials.
func (c *Cluster) StartObjectStore(ctx context.Context, accessKey, secretKey string) (*ObjectStore, error) {
	const bucket = "recordings"
	assets, err := ObjectStoreAssets(ctx, c.log)
	if err != nil {
		return nil, err
	}
	root, metadata := filepath.Join(c.dir, objectStoreDir), filepath.Join(c.dir, sidecarDir)
	for _, dir := range []string{filepath.Join(root, bucket), metadata} {
		if err := os.MkdirAll(dir, directoryMode); err != nil {
			return nil, fmt.Errorf("create the directory of the object store: %w", err)
		}
	}
	port, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	endpoint := "https://" + address(port)
	ready, err := probe(endpoint+"/healthz", c.keys.cluster.CertPEM, KeyPair{})
	if err != nil {
		return nil, err
	}
	program, err := c.Run(ctx, filepath.Join(assets, objectStoreName), ready, []string{
		"ROOT_ACCESS_KEY=" + accessKey, "ROOT_SECRET_KEY=" + secretKey,
	}, "--port="+address(port), "--cert="+c.pkiFile("kubelet.crt"), "--key="+c.pkiFile("kubelet.key"),
		"--health=/healthz", "--quiet", "posix", "--sidecar="+metadata, root)
	if err != nil {
		return nil, err
	}
	return &ObjectStore{
		Program: program, Endpoint: endpoint, Bucket: bucket, Dir: filepath.Join(root, bucket),
		CAFile: c.pkiFile("ca.crt"),
	}, nil
}
