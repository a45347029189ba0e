// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package recording

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Names of the files with the credentials of a bucket.
const (
	accessKeyFile    = "access-key-id"
	secretKeyFile    = "secret-access-key"
	sessionTokenFile = "session-token"
)

// rereadCredentials is the time after which the files are read again, because a mounted Secret may change.
const rereadCredentials = time.Minute

// newCredentials returns the credentials in a directory with a file for each part, such as a mounted Secret. If the
// directory is empty, it returns those in the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN.
func newCredentials(dir string) *credentials.Credentials {
	if dir == "" {
		return credentials.NewEnvAWS()
	}
	return credentials.New(&credentialFiles{dir: dir, now: time.Now})
}

// credentialFiles reads credentials from files.
type credentialFiles struct {
	dir  string
	now  func() time.Time
	read time.Time
}

// RetrieveWithCredContext reads the files.
func (f *credentialFiles) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return f.Retrieve()
}

// Retrieve reads the files.
func (f *credentialFiles) Retrieve() (credentials.Value, error) {
	out := credentials.Value{SignerType: credentials.SignatureV4}
	for name, into := range map[string]*string{
		accessKeyFile: &out.AccessKeyID, secretKeyFile: &out.SecretAccessKey, sessionTokenFile: &out.SessionToken,
	} {
		text, err := os.ReadFile(filepath.Join(f.dir, name)) //nolint:gosec // an operator has named the directory
		if err != nil && (name != sessionTokenFile || !errors.Is(err, fs.ErrNotExist)) {
			return credentials.Value{}, fmt.Errorf("reading the credentials of the bucket: %w", err)
		}
		*into = strings.TrimSpace(string(text))
	}
	if out.AccessKeyID == "" || out.SecretAccessKey == "" { // Without credentials, requests would be anonymous.
		return credentials.Value{}, errors.New("the credentials of the bucket are empty")
	}
	f.read = f.now()
	return out, nil
}

// IsExpired returns true if the files must be read again.
func (f *credentialFiles) IsExpired() bool { return f.now().Sub(f.read) > rereadCredentials }
