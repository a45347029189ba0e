// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

const (
	adminPasswordSecret = "kubevision-admin-password"
	alicePasswordSecret = "alice-password"
	passwordKey         = "password"
	passwordBytes       = 18

	secretTimeout = time.Minute
)

// publish writes what a client of the run needs.
func publish(ctx context.Context, files state, cluster *localcluster.Cluster, vision *localcluster.KubeVision) error {
	if err := localcluster.WriteKubeconfig(cluster.Config(), files.path(kubeconfigFile)); err != nil {
		return err
	}
	if err := files.write(caFile, string(vision.CAPEM())); err != nil {
		return err
	}
	if err := linkKubectl(files, cluster.KubectlPath()); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(cluster.Config())
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	password, err := readPassword(ctx, client)
	if err != nil {
		return err
	}
	if err := files.write(adminPasswordFile, password+"\n"); err != nil {
		return err
	}
	return createAlicePassword(ctx, client, files)
}

func linkKubectl(files state, kubectl string) error {
	link := files.path(binDir + "/kubectl")
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replace the link to kubectl: %w", err)
	}
	if err := os.Symlink(kubectl, link); err != nil {
		return fmt.Errorf("link kubectl: %w", err)
	}
	return nil
}

// readPassword waits for the password that the controller manager makes up for
// the first user.
func readPassword(ctx context.Context, client kubernetes.Interface) (string, error) {
	var password string
	err := localcluster.Poll(ctx, secretTimeout, "wait for the Secret "+adminPasswordSecret, func(ctx context.Context) error {
		secret, err := client.CoreV1().Secrets(localcluster.Namespace).Get(ctx, adminPasswordSecret, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("get it: %w", err)
		}
		password = string(secret.Data[passwordKey])
		if password == "" {
			return fmt.Errorf("it has no key %q", passwordKey)
		}
		return nil
	})
	return password, err
}

// createAlicePassword makes up the password of the sample user.
func createAlicePassword(ctx context.Context, client kubernetes.Interface, files state) error {
	random := make([]byte, passwordBytes)
	if _, err := rand.Read(random); err != nil {
		return fmt.Errorf("make up a password: %w", err)
	}
	password := base64.RawURLEncoding.EncodeToString(random)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: alicePasswordSecret},
		StringData: map[string]string{passwordKey: password},
	}
	if _, err := client.CoreV1().Secrets(localcluster.Namespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make the Secret %s: %w", alicePasswordSecret, err)
	}
	return files.write(alicePasswordFile, password+"\n")
}
