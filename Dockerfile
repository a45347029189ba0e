# syntax=docker/dockerfile:1

# The build stage runs on the builder's own platform and cross-compiles.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build

WORKDIR /src

COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download

COPY . .

ARG TARGETOS
ARG TARGETARCH
ARG LDFLAGS=""
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w $LDFLAGS" -o /out/ ./cmd/...

# The image has no shell and no package manager: it contains two static programs, certificates and time zones.
FROM gcr.io/distroless/static:nonroot

COPY --from=build /out/ /usr/local/bin/

USER 65532:65532

# The Deployments name the program that they run; the default is the one that serves the API.
ENTRYPOINT ["/usr/local/bin/kubevision-apiserver"]
