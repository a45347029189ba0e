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

RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    cd hack/release && CGO_ENABLED=0 go run . rootfs -output /rootfs

# The files are those of "make release": two static programs, certificates, time zones and accounts. There is no shell
# and no package manager.
FROM scratch

COPY --from=build /rootfs/ /
COPY --from=build /out/ /usr/local/bin/

ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt

USER 65532:65532

# The Deployments name the program that they run; the default is the one that serves the API.
ENTRYPOINT ["/usr/local/bin/kubevision-apiserver"]
