#!/usr/bin/env bash
# Copyright The KubeVision Authors.
# SPDX-License-Identifier: Apache-2.0

# Fails if a shell script does not parse, is not executable, or has a finding of shellcheck. If shellcheck is not
# installed, its check is skipped.

# shellcheck source=hack/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd "${root}"
scripts=()
while IFS= read -r -d "" script; do
  scripts+=("${script}")
done < <(source_files "*.sh" ".ci/run")

failed=""
for script in "${scripts[@]}"; do
  bash -n "${script}" || failed="yes"
  if [[ ! -x "${script}" ]]; then
    say "error: ${script} is not executable; run \"chmod +x ${script}\""
    failed="yes"
  fi
done

if command -v shellcheck >/dev/null; then
  shellcheck --external-sources --source-path=SCRIPTDIR/.. "${scripts[@]}" || failed="yes"
else
  say "shellcheck is not installed: the scripts are only parsed"
fi

[[ -z "${failed}" ]] || exit 1
