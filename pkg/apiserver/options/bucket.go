// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kubevision-io/kubevision/pkg/recording"
)

const bucketScheme = "s3://"

var (
	bucketPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixPattern = regexp.MustCompile(`^([A-Za-z0-9_-][A-Za-z0-9._-]*/?){0,16}$`)
)

// maxPrefix bounds the length of PREFIX in s3://BUCKET/PREFIX, in bytes.
const maxPrefix = 256

// BucketOptions contains the flags for an S3 bucket with recordings.
type BucketOptions struct {
	// Endpoint is the URL of the S3 service.
	Endpoint string
	// Region is the region of the bucket. If it is empty, the region that the S3 service reports is used.
	Region string
	// CredentialsDir is the path of a directory with the files access-key-id, secret-access-key and, optionally,
	// session-token. If the path is empty, the credentials are read from the environment variables of AWS.
	CredentialsDir string
	// CAFile is the path of a file with the certificate authorities of the S3 service. If the path is empty, the
	// certificate authorities of the operating system are used.
	CAFile string
}

func (o *BucketOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.Endpoint, "record-terminals-s3-endpoint", o.Endpoint,
		"URL of the S3 service of recordings, such as https://s3.eu-central-1.amazonaws.com. The scheme http "+
			"requires --record-terminals-key-file.")
	fs.StringVar(&o.Region, "record-terminals-s3-region", o.Region,
		"Region of the bucket of recordings. The default is the region that the service reports.")
	fs.StringVar(&o.CredentialsDir, "record-terminals-s3-credentials-dir", o.CredentialsDir,
		"Directory with the files access-key-id, secret-access-key and, optionally, session-token, for example a "+
			"mounted Secret. The default is the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and "+
			"AWS_SESSION_TOKEN.")
	fs.StringVar(&o.CAFile, "record-terminals-s3-ca-file", o.CAFile,
		"File with the certificate authorities of the S3 service. The default is the system's certificate authorities.")
}

// isBucket returns true if the destination of recordings, which is the value of --record-terminals, is the URL of a
// bucket.
func isBucket(destination string) bool { return strings.HasPrefix(destination, bucketScheme) }

func (o *BucketOptions) validate(destination string, encrypted bool) []error {
	if !isBucket(destination) {
		if *o != (BucketOptions{}) {
			return []error{errors.New("--record-terminals-s3-* require --record-terminals=s3://BUCKET/PREFIX")}
		}
		return nil
	}
	var errs []error
	name, prefix, _ := strings.Cut(strings.TrimPrefix(destination, bucketScheme), "/")
	if !bucketPattern.MatchString(name) || len(prefix) > maxPrefix || !prefixPattern.MatchString(prefix) {
		errs = append(errs, errors.New("--record-terminals must be a directory, or s3://BUCKET/PREFIX"))
	}
	endpoint, err := url.Parse(o.Endpoint)
	if err != nil || !isService(endpoint) {
		return append(errs, errors.New("--record-terminals-s3-endpoint must be a URL with a host and no path"))
	}
	if endpoint.Scheme == "http" && !encrypted {
		errs = append(errs, errors.New("--record-terminals-s3-endpoint with the scheme http requires "+
			"--record-terminals-key-file: otherwise recordings would be sent unencrypted"))
	}
	return errs
}

// isService returns true if the URL consists only of a scheme (https or http) and a host. A slash at the end is
// allowed.
func isService(u *url.URL) bool {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host}
	isHTTP := u.Scheme == "https" || u.Scheme == "http"
	return isHTTP && u.Host != "" && strings.TrimSuffix(u.String(), "/") == bare.String()
}

// config returns the settings of the bucket for package recording. The destination is the value of --record-terminals,
// for example s3://BUCKET/PREFIX. The caller must validate the flags first. config returns an error if there are no
// credentials, or if the CA file cannot be read.
func (o *BucketOptions) config(destination string) (*recording.BucketOptions, error) {
	endpoint, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, errors.New("--record-terminals-s3-endpoint is not a URL")
	}
	out := &recording.BucketOptions{Endpoint: endpoint, Region: o.Region, CredentialsDir: o.CredentialsDir}
	// Without credentials, requests would be anonymous.
	if o.CredentialsDir == "" && os.Getenv("AWS_ACCESS_KEY_ID") == "" {
		return nil, errors.New("--record-terminals-s3-credentials-dir is missing, and so is AWS_ACCESS_KEY_ID in the " +
			"environment")
	}
	out.Name, out.Prefix, _ = strings.Cut(strings.TrimPrefix(destination, bucketScheme), "/")
	if o.CAFile == "" {
		return out, nil
	}
	text, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("--record-terminals-s3-ca-file: %w", err)
	}
	if out.Roots = x509.NewCertPool(); !out.Roots.AppendCertsFromPEM(text) {
		return nil, errors.New("--record-terminals-s3-ca-file contains no certificates")
	}
	return out, nil
}
