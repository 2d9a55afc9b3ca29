#!/usr/bin/env bash
# The step of action.yml. Inputs come as INPUT_… variables, never as text of this script, so that none of them is run.
set -euo pipefail

sealgate=${INPUT_SEALGATE:-sealgate}
if ! command -v "$sealgate" >/dev/null; then
  if [ "$sealgate" != sealgate ]; then
    echo "::error::$sealgate is not there" >&2
    exit 1
  fi
  echo "::group::building sealgate"
  cargo install --locked --path "$GITHUB_ACTION_PATH/../../../proxy" --root "${RUNNER_TEMP:-/tmp}/sealgate" >&2
  echo "::endgroup::"
  sealgate=${RUNNER_TEMP:-/tmp}/sealgate/bin/sealgate
fi

images=()
while IFS= read -r image; do
  image=${image//[[:space:]]/}
  if [ -n "$image" ]; then images+=("$image"); fi
done <<<"$INPUT_IMAGES"
if [ "${#images[@]}" -eq 0 ]; then
  echo "::error::no image to sign: set images" >&2
  exit 2
fi
if [ -n "${INPUT_PREDICATE:-}" ] && [ -z "${INPUT_PREDICATE_TYPE:-}" ]; then
  echo "::error::predicate without predicate-type" >&2
  exit 2
fi

# Whoever runs this step agrees that the public instance's log keeps the signature.
flags=(--yes "--signature-format=${INPUT_SIGNATURE_FORMAT:-bundle}")
if [ -n "${INPUT_KEY:-}" ]; then flags+=("--key=$INPUT_KEY"); fi
if [ -n "${INPUT_SIGNING_CONFIG:-}" ]; then flags+=("--signing-config=$INPUT_SIGNING_CONFIG"); fi
if [ -n "${INPUT_TRUSTED_ROOT:-}" ]; then flags+=("--trusted-root=$INPUT_TRUSTED_ROOT"); fi

# What was signed is reported even when something else was not.
status=0
references=$("$sealgate" sign "${flags[@]}" -- "${images[@]}") || status=$?

# Attested is the digest that was signed, whatever the tag is by now.
if [ "$status" -eq 0 ] && [ -n "${INPUT_PREDICATE:-}" ]; then
  readarray -t signed <<<"$references"
  "$sealgate" attest "${flags[@]}" "--predicate=$INPUT_PREDICATE" "--type=$INPUT_PREDICATE_TYPE" -- "${signed[@]}" >/dev/null || status=$?
fi

if [ -n "${GITHUB_OUTPUT:-}" ]; then
  first=${references%%$'\n'*}
  {
    echo "digest=${first##*@}"
    echo "references<<END_OF_REFERENCES"
    if [ -n "$references" ]; then echo "$references"; fi
    echo "END_OF_REFERENCES"
  } >>"$GITHUB_OUTPUT"
fi
if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  {
    echo "### Signed images"
    echo
    while IFS= read -r reference; do
      if [ -n "$reference" ]; then echo "- \`$reference\`${INPUT_PREDICATE_TYPE:+ (attested: $INPUT_PREDICATE_TYPE)}"; fi
    done <<<"$references"
    if [ "$status" -ne 0 ]; then echo "- **not everything was signed** (exit code $status); the log says what"; fi
  } >>"$GITHUB_STEP_SUMMARY"
fi
printf '%s\n' "$references"
exit "$status"
