#!/bin/sh
# Has schemathesis make requests of the worker's /openapi.json, good ones and bad ones, and holds every answer of a worker, then of
# the proxy before 1p1d, to the document. Fails at a 5xx, a status or media type that is not documented, or a method that is not.
#
#   scripts/schemathesis.sh [SECONDS, of each of the two; 300 unless told]
#
# The binary is .build/release/xpyd or XPYD, the model ~/.cache/xpyd/models/smollm2-135m-instruct.gguf or MODEL; schemathesis
# is installed into .build/schemathesis. The document tells types and not all that follows from them, so a request that fits it
# may still be a 400.
set -eu
cd "$(dirname "$0")/.."

XPYD=${XPYD:-.build/release/xpyd}
MODEL=${MODEL:-$HOME/.cache/xpyd/models/smollm2-135m-instruct.gguf}
FIRST_PORT=${FIRST_PORT:-18590}
SECONDS_EACH=${1:-300}
RELEASE=4.32.5
folder=.build/schemathesis
[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }
if [ ! -x "$folder/bin/schemathesis" ]; then
  "${PYTHON:-python3}" -m venv "$folder"
  "$folder/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$RELEASE"
fi

worker=$((FIRST_PORT + 1))
proxy=$((FIRST_PORT + 2))
# A short context keeps answers short.
"$XPYD" up 1p1d --log-dir "$folder/logs" --port $proxy --prefiller-port "$FIRST_PORT" --decoder-port $worker \
  --model "$MODEL" -- --max-model-len 64 > "$folder/up.log" 2>&1 &
up=$!
trap 'kill $up 2>/dev/null; wait $up 2>/dev/null || true' EXIT
tries=0
until curl -sf "http://127.0.0.1:$proxy/ready" > /dev/null; do
  tries=$((tries + 1))
  [ $tries -lt 120 ] && kill -0 $up 2>/dev/null || { cat "$folder/up.log" >&2; exit 1; }
  sleep 1
done
curl -sf "http://127.0.0.1:$worker/openapi.json" > "$folder/openapi.json"

checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
for port in $worker $proxy; do
  if [ "$port" = "$worker" ]; then
    set -- --checks "$checks,unsupported_method"
  else
    # The proxy's own pages are not the worker's, and it releases no handoff for strangers.
    set -- --checks "$checks" --exclude-path-regex '^/(kv|reset|openapi|ping|ready|load|v1/models)'
  fi
  (cd "$folder" && bin/schemathesis run openapi.json --url "http://127.0.0.1:$port" --max-time "$SECONDS_EACH" \
    --continue-on-failure --no-shrink --seed 1 --warnings off "$@")
done
