// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package options

import "testing"

// TestBucket verifies the validation of the command-line flags for the S3 bucket in which terminals are recorded.
func TestBucket(t *testing.T) {
	const service = "https://s3.example.com"
	for name, test := range map[string]struct {
		to, endpoint        string
		encrypted, accepted bool
	}{
		"directory":                {to: "/recordings", accepted: true},
		"bucket":                   {to: "s3://terminals", endpoint: service, accepted: true},
		"prefix":                   {to: "s3://terminals/a/b_c/", endpoint: service + "/", accepted: true},
		"port":                     {to: "s3://terminals/a", endpoint: service + ":9000", accepted: true},
		"encrypted, without TLS":   {to: "s3://terminals", endpoint: "http://s3", encrypted: true, accepted: true},
		"without TLS":              {to: "s3://terminals", endpoint: "http://s3"},
		"no service":               {to: "s3://terminals"},
		"no bucket":                {to: "s3://", endpoint: service},
		"bucket with a capital":    {to: "s3://Terminals", endpoint: service},
		"prefix that goes up":      {to: "s3://terminals/../x", endpoint: service},
		"prefix with a query":      {to: "s3://terminals/x?y", endpoint: service},
		"service with a path":      {to: "s3://terminals", endpoint: service + "/terminals"},
		"service with credentials": {to: "s3://terminals", endpoint: "https://id:secret@s3"},
		"other scheme":             {to: "s3://terminals", endpoint: "ftp://s3"},
		"directory with a service": {to: "/recordings", endpoint: service},
	} {
		t.Run(name, func(t *testing.T) {
			errs := (&BucketOptions{Endpoint: test.endpoint}).validate(test.to, test.encrypted)
			if (len(errs) == 0) != test.accepted {
				t.Errorf("the errors are %v", errs)
			}
		})
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	if _, err := (&BucketOptions{Endpoint: service}).config("s3://terminals"); err == nil {
		t.Error("no credentials are accepted")
	}
	o := BucketOptions{Endpoint: service, CredentialsDir: "/credentials", Region: "eu"}
	got, err := o.config("s3://terminals/a/b")
	if err != nil || got.Name != "terminals" || got.Prefix != "a/b" || got.Region != "eu" ||
		got.Endpoint.Host != "s3.example.com" || got.CredentialsDir != "/credentials" {
		t.Errorf("%+v (%v)", got, err)
	}
}
