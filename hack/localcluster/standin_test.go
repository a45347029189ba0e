// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package localcluster

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// TestMain runs the tests, unless the test binary is started under the name of a KubeVision program. In that case,
// TestMain simulates this program. Therefore, the tests need no build of KubeVision.
func TestMain(m *testing.M) {
	var err error
	switch filepath.Base(os.Args[0]) {
	case controllerManagerProgram:
		err = standInControllerManager()
	case apiServerProgram:
		err = standInAPIServer()
	default:
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// standIns returns a directory for KubeVisionOptions.BinDir. The directory contains links to the test binary with the
// names of KubeVision's programs.
func standIns(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{controllerManagerProgram, apiServerProgram} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func standInControllerManager() error {
	kubeconfig := flag.String("kubeconfig", "", "")
	health := flag.String("health-probe-bind-address", "", "")
	metrics := flag.String("metrics-bind-address", "", "")
	names := flag.String("serving-cert-extra-names", "", "")
	flag.String("cluster-addresses-denied", "", "")
	flag.Parse()
	if !strings.HasPrefix(*metrics, "127.0.0.1:") || *names != "localhost,127.0.0.1" {
		return fmt.Errorf("flags: metrics %q, names %q", *metrics, *names)
	}
	client, err := clientOf(*kubeconfig)
	if err != nil {
		return err
	}
	if err := publishServingCert(context.Background(), client); err != nil {
		return err
	}
	server := &http.Server{Addr: *health, ReadHeaderTimeout: time.Second,
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	return server.ListenAndServe()
}

func clientOf(kubeconfig string) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

func publishServingCert(ctx context.Context, client *kubernetes.Clientset) error {
	authority, err := NewAuthority("stand-in")
	if err != nil {
		return err
	}
	pair, err := authority.IssueServing(apiServerProgram+"."+Namespace+".svc", "localhost", loopback)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: servingSecret},
		Data:       map[string][]byte{"tls.crt": pair.CertPEM, "tls.key": pair.KeyPEM, "ca.crt": authority.CertPEM},
	}
	_, err = client.CoreV1().Secrets(Namespace).Create(ctx, secret, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"caBundle": authority.CertPEM}})
	if err != nil {
		return err
	}
	return client.RESTClient().Patch(types.MergePatchType).
		AbsPath("/apis/apiregistration.k8s.io/v1/apiservices/" + apiServiceName).Body(patch).Do(ctx).Error()
}

// standInAPIServer simulates kubevision-apiserver. It serves only /readyz and the resource list of the API group
// dashboard.kubevision.io. The list contains one resource, whose name is the value of the flag greeting.
func standInAPIServer() error {
	kubeconfig := flag.String("kubeconfig", "", "")
	host := flag.String("bind-address", "", "")
	flag.String("cluster-addresses-denied", "", "")
	port := flag.String("secure-port", "", "")
	certFile := flag.String("tls-cert-file", "", "")
	keyFile := flag.String("tls-private-key-file", "", "")
	greeting := flag.String("greeting", "", "")
	flag.Parse()
	client, err := clientOf(*kubeconfig)
	if err != nil {
		return err
	}
	if _, err := client.Discovery().ServerVersion(); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/apis/dashboard.kubevision.io/v1alpha1", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w,
			`{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"dashboard.kubevision.io/v1alpha1",`+
				`"resources":[{"name":%q,"kind":"Greeting","verbs":["get"]}]}`, *greeting)
	})
	if *host != loopback {
		return errors.New("bind address is " + *host)
	}
	server := &http.Server{
		Addr:              net.JoinHostPort(*host, *port),
		Handler:           mux,
		ReadHeaderTimeout: time.Second,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12},
	}
	return server.ListenAndServeTLS(*certFile, *keyFile)
}
