// Copyright The KubeVision Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build generated

// Command dashboardclient logs in and lists the pods of a namespace, with a client that oapi-codegen has generated
// from the OpenAPI document. A test compiles it with the generated client as an overlay; the repository does not
// contain the generated code.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	// The dependency of the generated client, at the version in go.mod.
	_ "github.com/oapi-codegen/runtime"
)

const timeout = 30 * time.Second

func main() {
	server := flag.String("server", "", "the address before /apis")
	user := flag.String("username", "", "who logs in, with the password in $PASSWORD")
	cluster := flag.String("cluster", "", "the name of a cluster")
	namespace := flag.String("namespace", "", "the name of a namespace")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := run(ctx, *server, *user, *cluster, *namespace); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, server, user, cluster, namespace string) error {
	client, err := NewClientWithResponses(server)
	if err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	token, err := login(ctx, client, user)
	if err != nil {
		return err
	}
	limit := 500
	parameters := &ListNamespaceObjectsParams{Limit: &limit}
	answer, err := client.ListNamespaceObjectsWithResponse(ctx, cluster, namespace, "pods", parameters,
		func(_ context.Context, r *http.Request) error {
			r.Header.Set("X-KubeVision-Token", token)
			return nil
		})
	switch {
	case err != nil:
		return fmt.Errorf("listing pods: %w", err)
	case answer.JSON200 == nil:
		return fmt.Errorf("listing pods: %s %s", answer.Status(), answer.Body)
	case answer.JSON200.Code != 0 || answer.JSON200.Data == nil:
		return fmt.Errorf("listing pods: code %d: %s (%s)", answer.JSON200.Code, answer.JSON200.Message,
			answer.JSON200.Meta.RequestId)
	}
	for _, pod := range *answer.JSON200.Data {
		if pod.Metadata.Name != nil {
			fmt.Println(*pod.Metadata.Name)
		}
	}
	return nil
}

func login(ctx context.Context, client *ClientWithResponses, user string) (string, error) {
	answer, err := client.LoginWithResponse(ctx, LoginJSONRequestBody{Username: user, Password: os.Getenv("PASSWORD")})
	switch {
	case err != nil:
		return "", fmt.Errorf("logging in: %w", err)
	case answer.JSON200 == nil:
		return "", fmt.Errorf("logging in: %s", answer.Status())
	case answer.JSON200.Code != 0 || answer.JSON200.Data == nil:
		return "", fmt.Errorf("logging in: code %d: %s", answer.JSON200.Code, answer.JSON200.Message)
	case answer.JSON200.Data.AccessToken == "":
		return "", errors.New("logging in: no access token")
	}
	return answer.JSON200.Data.AccessToken, nil
}
