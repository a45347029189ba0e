#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Runs every check that is not a test, the cheapest first. All of them run, even if an early one fails.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly checks=(
  verify-boilerplate
  verify-shell
  verify-gomod
  verify-codegen
  verify-clients
  verify-metrics
  verify-rules
  lint
  verify-kustomize
  verify-release
)

failed=()
for check in "${checks[@]}"; do
  started="${SECONDS}"
  say "== ${check}"
  if "${root}/hack/${check}.sh"; then
    say "   passed in $((SECONDS - started))s"
  else
    say "   FAILED after $((SECONDS - started))s"
    failed+=("${check}")
  fi
done

if ((${#failed[@]} > 0)); then
  die "these checks failed: ${failed[*]}"
fi
