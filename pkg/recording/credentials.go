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

// Names of the files in BucketOptions.CredentialsDir.
const (
	accessKeyFile    = "access-key-id"
	secretKeyFile    = "secret-access-key"
	sessionTokenFile = "session-token"
)

// rereadCredentials is the time after which the files with the credentials of the bucket are read again, because a
// mounted Secret may have changed.
const rereadCredentials = time.Minute

// newCredentials returns credentials that are read from the files in dir, for example a mounted Secret. If dir is
// empty, they are read from the environment variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.
func newCredentials(dir string) *credentials.Credentials {
	if dir == "" {
		return credentials.NewEnvAWS()
	}
	return credentials.New(&credentialFiles{dir: dir, now: time.Now})
}

// credentialFiles reads credentials from files. It implements credentials.Provider.
type credentialFiles struct {
	dir  string
	now  func() time.Time
	read time.Time
}

// RetrieveWithCredContext implements credentials.Provider.
func (f *credentialFiles) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return f.Retrieve()
}

// Retrieve implements credentials.Provider. It returns an error if the file access-key-id or secret-access-key is
// missing or empty. The file session-token is optional.
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

// IsExpired implements credentials.Provider. It returns true if more than rereadCredentials has passed since the files
// were read.
func (f *credentialFiles) IsExpired() bool { return f.now().Sub(f.read) > rereadCredentials }
