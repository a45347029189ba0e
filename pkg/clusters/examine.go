// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

package clusters

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubevision-io/kubevision/pkg/clusters/addresspolicy"
	"github.com/kubevision-io/kubevision/pkg/clusters/response"
)

// examineTimeout bounds the duration of Examine, and of the first requests with a new kubeconfig.
const examineTimeout = 5 * time.Second

// Examination is the result of Examine. A boolean field is true only if Examine has verified the condition that the
// field states.
type Examination struct {
	// Reachable is true if an API server responds.
	Reachable bool
	// CredentialsValid is true if the API server accepts the credential of the kubeconfig.
	CredentialsValid bool
	// ImpersonationReady is true if the cluster issues and accepts tokens of the impersonating ServiceAccount.
	ImpersonationReady bool
	// Version is the version of the API server.
	Version string
	// Message describes why the connection cannot be used, and how to correct this, if possible. It is empty if the
	// connection can be used. It contains no text that the server has sent, except for the sanitized message of a
	// Status.
	Message string
}

// Examine tests the connection to the cluster that the KubeVisionCluster with the given name represents. It requests a
// token of the impersonating ServiceAccount, and reads the version of the cluster with this token. It returns
// ErrNotRegistered if there is no such KubeVisionCluster. Failures of the cluster are part of the Examination.
func (c *Connections) Examine(ctx context.Context, name string) (Examination, error) {
	ctx, cancel := context.WithTimeout(ctx, examineTimeout)
	defer cancel()
	connection, err := c.Get(ctx, name)
	if errors.Is(err, ErrIdentityConflict) {
		return Examination{
			Message: "another registration claims to be the same cluster: see kubectl describe kubevisioncluster " +
				name}, nil
	}
	if errors.Is(err, ErrNotConnected) {
		return Examination{Message: "there is no valid kubeconfig: see kubectl describe kubevisioncluster " + name}, nil
	}
	if err != nil {
		return Examination{}, err
	}
	return connection.examine(ctx), nil
}

func (c *Connection) examine(ctx context.Context) Examination {
	if _, err := c.tokens.token(ctx); err != nil {
		return c.diagnoseToken(err)
	}
	// The request for the version carries the token. Therefore, a version in the response also proves that the cluster
	// accepts the token.
	version, err := ServerVersion(ctx, c.robot)
	if response.IsTyped(err) && (apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err)) {
		return Examination{
			Reachable: true, CredentialsValid: true,
			Message: "the cluster does not accept a token of the impersonating account: try again shortly",
		}
	}
	if err != nil {
		return diagnose(err)
	}
	return Examination{Reachable: true, CredentialsValid: true, ImpersonationReady: true, Version: version}
}

// diagnoseToken derives an Examination from the error of a token request, which uses the credential of the kubeconfig.
// If the cluster has rejected an expired credential, the message states the time of the expiry.
func (c *Connection) diagnoseToken(err error) Examination {
	out := diagnose(err)
	if c.kubeconfig == nil || !RefusesCredential(err) {
		return out
	}
	if expired := c.kubeconfig.CheckExpiry(time.Now()); expired != nil {
		out.Message = expired.Error()
	}
	return out
}

// RefusesCredential returns true if err may mean that the server rejected the credential. This is the case for the
// status 401, and for a TLS alert. Some servers reject client certificates with a TLS alert.
func RefusesCredential(err error) bool {
	_, alert := errors.AsType[tls.AlertError](err)
	return alert || apierrors.IsUnauthorized(err)
}

// errorKind returns a suffix for a message about err: a colon, a space, and the text of the response.Failure in err.
// This text contains no data of the server. The suffix is empty if err wraps no response.Failure.
func errorKind(err error) string {
	if failure, ok := errors.AsType[*response.Failure](err); ok {
		return ": " + failure.Error()
	}
	return ""
}

// diagnose derives an Examination from the error of a request. If the error is a Status, an API server has responded,
// and some fields may be true. For example, a Status with the code 403 proves that the API server accepts the
// credentials. After any other error, all boolean fields are false.
func diagnose(err error) Examination {
	var status apierrors.APIStatus
	answered := errors.As(err, &status)
	switch {
	case errors.Is(err, addresspolicy.ErrRefused):
		return Examination{
			Message: "KubeVision may not connect to this address; an operator can allow it with " +
				"--cluster-addresses-allowed"}
	case errors.Is(err, context.DeadlineExceeded):
		return Examination{Message: "the API server did not respond in time"}
	case errors.Is(err, ErrNoAPIServer):
		return Examination{Message: ErrNoAPIServer.Error()}
	case !answered:
		return Examination{Message: "the API server cannot be reached" + errorKind(err)}
	case !response.IsTyped(err):
		return Examination{Message: fmt.Sprintf("%v: the response had HTTP status %d", ErrNoAPIServer,
			status.Status().Code)}
	case apierrors.IsUnauthorized(err):
		return Examination{Reachable: true, Message: "the API server does not accept the credentials of the kubeconfig"}
	case apierrors.IsForbidden(err):
		return Examination{Reachable: true, CredentialsValid: true,
			Message: "the credentials of the kubeconfig must have the rights of a cluster administrator"}
	case apierrors.IsNotFound(err):
		return Examination{Reachable: true, CredentialsValid: true,
			Message: "the impersonating account does not exist yet: try again shortly"}
	default:
		return Examination{Reachable: status.Status().Code < http.StatusInternalServerError,
			Message: fmt.Sprintf("the API server responded with HTTP status %d: %s", status.Status().Code,
				status.Status().Message),
		}
	}
}
