// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package streams

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kubevision-io/kubevision/hack/localcluster"
	"github.com/kubevision-io/kubevision/pkg/recording"
	"github.com/kubevision-io/kubevision/test/conformance/fixture"
	"github.com/kubevision-io/kubevision/test/conformance/wire"
)

const (
	accessKey = "kubevision"
	secretKey = "secret-of-the-bucket"
)

var startedStore = sync.OnceValues(func() (*localcluster.ObjectStore, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	return env.Cluster.StartObjectStore(ctx, accessKey, secretKey)
})

func objectStore(tb testing.TB, secret string) (store *localcluster.ObjectStore, credentials string) {
	tb.Helper()
	store, err := startedStore()
	if err != nil {
		tb.Fatal(err)
	}
	credentials = tb.TempDir()
	for name, text := range map[string]string{"access-key-id": accessKey, "secret-access-key": secret + "\n"} {
		if err := os.WriteFile(filepath.Join(credentials, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return store, credentials
}

func recordingReplica(tb testing.TB, prefix string) *localcluster.APIServer {
	tb.Helper()
	store, credentials := objectStore(tb, secretKey)
	// The replica encrypts its recordings, because run sets the key file for all replicas.
	replica, err := env.KubeVision.StartAPIServer(tb.Context(), 0,
		"--record-terminals=s3://"+store.Bucket+"/"+prefix, "--record-terminals-s3-endpoint="+store.Endpoint,
		"--record-terminals-s3-credentials-dir="+credentials, "--record-terminals-s3-ca-file="+store.CAFile,
	)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = replica.Kill() })
	return replica
}

func objects(tb testing.TB, store *localcluster.ObjectStore, prefix string) map[string][]byte {
	tb.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(filepath.Join(store.Dir, prefix), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path) //nolint:gosec // only the test and its store write to this directory
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		out[strings.TrimPrefix(path, store.Dir+"/"+prefix+"/")] = text
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		tb.Fatal(err)
	}
	return out
}

func (p person) shellOn(tb testing.TB, c *wire.Client, namespace, shown string) *socket {
	tb.Helper()
	conn := open(tb, c, p.get(ofPod(namespace, "web", "exec?container=main&command=sh")))
	conn.send(tb, typed{Type: "input", Data: "echo " + shown + "-$((40+2))\n"})
	readUntil(tb, conn, func(f frame) bool { return strings.Contains(f.Data, shown+"-42") })
	return conn
}

// played returns the text of the only recording of a namespace.
func played(ctx context.Context, c *wire.Client, a person, namespace string) (string, error) {
	response, err := c.Do(ctx, a.get("/terminal-sessions?limit=200"))
	if err != nil {
		return "", err
	}
	listed, err := response.Parse()
	if err != nil {
		return "", err
	}
	var found []recordedTerminal
	if err := json.Unmarshal(listed.Data, &found); err != nil {
		return "", err
	}
	found = slices.DeleteFunc(found, func(s recordedTerminal) bool { return s.Namespace != namespace })
	if len(found) != 1 {
		return "", fmt.Errorf("there are %d recordings", len(found))
	}
	if response, err = c.Do(ctx, a.get("/terminal-sessions/"+found[0].ID+"/play")); err != nil {
		return "", err
	}
	content, err := response.Parse()
	if err != nil {
		return "", err
	}
	var out struct{ Recording string }
	err = json.Unmarshal(content.Data, &out)
	return out.Recording, err
}

func playsEventually(tb testing.TB, c *wire.Client, a person, namespace, text string) {
	tb.Helper()
	fixture.Eventually(tb, "the recording", func(ctx context.Context) error {
		got, err := played(ctx, c, a, namespace)
		if err == nil && !strings.Contains(got, text) {
			err = fmt.Errorf("the recording is %q", got)
		}
		return err
	})
}

// TestRecordingInBucket verifies the recording of terminals in an S3 bucket:
//   - The recording of an open terminal can be played.
//   - After the end of a terminal, the recording is a single encrypted object.
//   - Recorded output remains when the server is killed.
//   - A recording cannot be played if an object is missing.
func TestRecordingInBucket(t *testing.T) {
	p, namespace := inNamespace(t, "dev")
	killed := set().Namespace(t, "killed")
	set().Bind(t, "dev", fixture.Grant{
		Role: "dev", Subjects: fixture.KubeVisionUsers(p.User), Cluster: host, Namespaces: []string{killed},
	})
	for _, n := range []string{namespace, killed} {
		runs(t, n, "web", nil, "main")
	}
	fixture.Eventually(t, "the right of the user", func(ctx context.Context) error {
		return p.client.Answers(ctx, 0, p.get("/clusters/"+host+"/namespaces/"+killed+"/resources/pods"))
	})
	a := auditor(t)
	store, _ := objectStore(t, secretKey)
	const prefix = "kubevision/encrypted"
	replica := recordingReplica(t, prefix)
	c := at(t, replica.Endpoint())
	conn := p.shellOn(t, c, namespace, "canary")
	playsEventually(t, c, a, namespace, "canary-42")
	conn.send(t, typed{Type: "input", Data: "exit\n"})
	readUntil(t, conn, func(f frame) bool { return f.Type == "close" })
	fixture.Eventually(t, "one object", func(context.Context) error {
		found := objects(t, store, prefix)
		if len(found) != 1 {
			return fmt.Errorf("there are %d objects", len(found))
		}
		for name, content := range found {
			if !strings.HasSuffix(name, ".cast") || bytes.Contains(content, []byte("canary")) {
				return fmt.Errorf("the object is %s of %d bytes", name, len(content))
			}
		}
		return nil
	})
	playsEventually(t, c, a, namespace, "ended: done")
	p.shellOn(t, c, killed, "killed")
	playsEventually(t, c, a, killed, "killed-42")
	if err := replica.Kill(); err != nil {
		t.Fatal(err)
	}
	c = at(t, recordingReplica(t, prefix).Endpoint())
	playsEventually(t, c, a, killed, "killed-42")
	for name := range objects(t, store, prefix) { // a missing piece is detected
		if strings.HasSuffix(name, "/000001") {
			if err := os.Remove(filepath.Join(store.Dir, prefix, name)); err != nil {
				t.Fatal(err)
			}
			id := strings.TrimSuffix(name, "/000001")
			c.Call(t, a.get("/terminal-sessions/"+id+"/play")).Want(t, wire.Unreachable)
		}
	}
}

// TestFaultOfBucket verifies the effects of an outage of the S3 bucket in which terminals are recorded:
//   - An open terminal ends.
//   - A new terminal is rejected, or ends without output.
//   - The output that was recorded before the outage remains.
func TestFaultOfBucket(t *testing.T) {
	p, namespace := inNamespace(t, "dev")
	runs(t, namespace, "web", nil, "main")
	a := auditor(t)
	store, _ := objectStore(t, secretKey)
	c := at(t, recordingReplica(t, "fault").Endpoint())
	conn := p.shellOn(t, c, namespace, "before")
	playsEventually(t, c, a, namespace, "before-42")
	if err := store.Stop(); err != nil {
		t.Fatal(err)
	}
	conn.send(t, typed{Type: "input", Data: "head -c 200000 /dev/zero | tr '\\0' x; echo after\n"})
	another := p.get(ofPod(namespace, "web", "exec?container=main&command=echo&command=unseen&tty=false"))
	unseen, refusal, err := c.WebSocket(t.Context(), another)
	if err != nil {
		t.Fatal(err)
	}
	if refusal != nil {
		refusal.Envelope(t).Want(t, wire.Unreachable)
	} else {
		showsNothing(t, newSocket(unseen))
	}
	if _, reason := conn.awaitEnd(t, 5*promptly); reason != "failed" {
		t.Errorf("the reason is %q", reason)
	}
	if err := store.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	playsEventually(t, c, a, namespace, "before-42")
	if text, err := played(t.Context(), c, a, namespace); err != nil || strings.Contains(text, "ended: done") {
		t.Errorf("the recording is %q (%v)", text, err)
	}
}

// showsNothing verifies that a stream ends without output. The server must not send output that it cannot record.
func showsNothing(tb testing.TB, s *socket) {
	tb.Helper()
	if _, reason := s.awaitEnd(tb, 5*promptly); reason != "failed" {
		tb.Errorf("the reason is %q", reason)
	}
	close(s.messages)
	for message := range s.messages {
		if !strings.Contains(string(message), `"close"`) {
			tb.Errorf("it shows %s", message)
		}
	}
}

func storeOf(tb testing.TB, prefix, secret string, change func(*recording.Options)) *recording.Store {
	tb.Helper()
	store, credentials := objectStore(tb, secret)
	endpoint, err := url.Parse(store.Endpoint)
	if err != nil {
		tb.Fatal(err)
	}
	authority, err := os.ReadFile(store.CAFile)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	o := recording.Options{MaxBytes: 1 << 30, Bucket: &recording.BucketOptions{
		Endpoint: endpoint, Name: store.Bucket, Prefix: prefix, CredentialsDir: credentials, Roots: roots,
	}}
	if change != nil {
		change(&o)
	}
	s, err := recording.NewStore(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// TestBoundsOfBucket verifies how KubeVision stores recordings in an S3 bucket:
//   - A recording that exceeds the maximum size of an object continues in a second object.
//   - KubeVision rejects a new recording if the existing recordings have reached the maximum total size.
//   - KubeVision deletes recordings that exceed the maximum age.
//   - KubeVision rejects a new recording if the S3 server rejects KubeVision's credentials.
//   - KubeVision rejects a new recording if the certificate of the S3 server is not trusted.
func TestBoundsOfBucket(t *testing.T) {
	const prefix = "bounds"
	s := storeOf(t, prefix, secretKey, nil)
	r, err := s.Begin(recording.Terminal{User: "jane"})
	if err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte("x"), 1<<20)
	for range 17 {
		if err := r.Output(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	bucket, _ := objectStore(t, secretKey)
	fixture.Eventually(t, "two objects", func(context.Context) error {
		if found := objects(t, bucket, prefix); len(found) != 2 {
			return fmt.Errorf("there are %d objects", len(found))
		}
		return nil
	})
	found, total, err := s.List(t.Context(), 0, 10)
	if err != nil || total != 2 || found[0].User != "jane" || found[0].Part+found[1].Part != 3 {
		t.Fatalf("%+v (%v)", found, err)
	}
	bytesRead := 0
	for i := range found {
		text, err := s.Open(t.Context(), found[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(text)
		bytesRead += bytes.Count(all, []byte("x"))
		if err := errors.Join(err, text.Close()); err != nil || int64(len(all)) != found[i].Bytes {
			t.Errorf("%d of %d bytes (%v)", len(all), found[i].Bytes, err)
		}
	}
	if bytesRead < 17<<20 {
		t.Errorf("%d bytes are recorded", bytesRead)
	}
	full := storeOf(t, prefix, secretKey, func(o *recording.Options) { o.MaxBytes = 16 << 20 })
	if _, err := full.Begin(recording.Terminal{}); !errors.Is(err, recording.ErrFull) {
		t.Errorf("beyond the bound: %v", err)
	}
	aged := storeOf(t, prefix, secretKey, func(o *recording.Options) { o.MaxAge = time.Nanosecond })
	if err := aged.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := objects(t, bucket, prefix); len(left) > 0 {
		t.Errorf("%d old objects are left", len(left))
	}
	for name, other := range map[string]*recording.Store{
		"wrong credentials": storeOf(t, prefix, "wrong", nil),
		"untrusted server":  storeOf(t, prefix, secretKey, func(o *recording.Options) { o.Bucket.Roots = nil }),
	} {
		_, err := other.Begin(recording.Terminal{})
		if err == nil || other.Check(t.Context()) == nil || strings.Contains(err.Error(), secretKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
