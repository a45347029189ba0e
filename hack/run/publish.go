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
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubevision-io/kubevision/hack/localcluster"
)

const (
	adminPasswordSecret = "kubevision-admin-password"
	alicePasswordSecret = "alice-password"
	passwordKey         = "password"
	passwordBytes       = 18
	hashPrefix          = "$argon2id$"

	secretTimeout = time.Minute
)

// publish writes the files with which users access the cluster and KubeVision, for example the kubeconfig and the
// passwords.
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
		return fmt.Errorf("create a client: %w", err)
	}
	if !files.kept() {
		if err := awaitAdminPassword(ctx, client); err != nil {
			return err
		}
		if err := createAlicePassword(ctx, client); err != nil {
			return err
		}
	}
	for secret, file := range map[string]string{adminPasswordSecret: adminPasswordFile,
		alicePasswordSecret: alicePasswordFile} {
		if err := copyPassword(ctx, client, files, secret, file); err != nil {
			return err
		}
	}
	return nil
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

// awaitAdminPassword waits until the controller manager has created the password of the first user.
func awaitAdminPassword(ctx context.Context, client kubernetes.Interface) error {
	return localcluster.Poll(ctx, secretTimeout, "wait for the Secret "+adminPasswordSecret,
		func(ctx context.Context) error {
			_, err := client.CoreV1().Secrets(localcluster.Namespace).Get(ctx, adminPasswordSecret, metav1.GetOptions{})
			return err
		})
}

// createAlicePassword creates the password of the sample user.
func createAlicePassword(ctx context.Context, client kubernetes.Interface) error {
	random := make([]byte, passwordBytes)
	if _, err := rand.Read(random); err != nil {
		return fmt.Errorf("make up a password: %w", err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: alicePasswordSecret},
		StringData: map[string]string{passwordKey: base64.RawURLEncoding.EncodeToString(random)},
	}
	if _, err := client.CoreV1().Secrets(localcluster.Namespace).
		Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create the Secret %s: %w", alicePasswordSecret, err)
	}
	return nil
}

// copyPassword writes the password in a Secret to a file. It writes nothing if the Secret does not exist, or if it
// contains no password or only a hash.
func copyPassword(ctx context.Context, client kubernetes.Interface, files state, name, file string) error {
	secret, err := client.CoreV1().Secrets(localcluster.Namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the Secret %s: %w", name, err)
	}
	password := string(secret.Data[passwordKey])
	if password == "" || strings.HasPrefix(password, hashPrefix) {
		return nil
	}
	return files.write(file, password+"\n")
}
