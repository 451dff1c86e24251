#!/bin/sh
# LMCache's XpYd example on this host: two prefillers and a decoder with the example's own two files, behind its own proxy.
#
#   scripts/lmcache-example.sh PROXY
#
# PROXY is examples/disagg_prefill/xp1d/disagg_proxy_server.py of LMCache's repository, unchanged. Asks for ten prompts
# through it and of the decoder alone, and fails if an answer differs or a prompt's KV was not taken over. XPYD names
# another binary than .build/release/xpyd; PORT the first of five ports.
set -eu
cd "$(dirname "$0")/.."
PROXY=${1:?"usage: scripts/lmcache-example.sh PROXY"}
XPYD=${XPYD:-.build/release/xpyd}
PORT=${PORT:-8100}
MODEL=${MODEL:-smollm2-135m-instruct}
CONFIGS=Tests/WorkerTests/Fixtures/lmcache
VENV=.build/lmcache-example
[ -x "$XPYD" ] || { echo "There is no $XPYD: run \`make build\`." >&2; exit 1; }
if ! [ -e "$VENV/installed" ]; then
  python3 -m venv "$VENV"
  "$VENV/bin/pip" install --quiet --disable-pip-version-check fastapi uvicorn httpx numpy
  touch "$VENV/installed"
fi

LOGS=$(mktemp -d)
PIDS=
trap 'kill $PIDS 2>/dev/null; wait 2>/dev/null; rm -rf "$LOGS"' EXIT

# serve NAME PORT FILE ROLE [FLAG...]
serve() {
  name=$1 port=$2 file=$3 role=$4
  shift 4
  LMCACHE_CONFIG_FILE=$CONFIGS/$file UCX_TLS=cuda_ipc,cuda_copy,tcp "$XPYD" serve "$MODEL" --port "$port" --threads 1 \
    --max-model-len 2048 --kv-transfer-config '{"kv_connector":"LMCacheConnectorV1","kv_role":"'"$role"'",
    "kv_connector_extra_config": {"discard_partial_chunks": false, "lmcache_rpc_port": "'"$name"'"}}' "$@" \
    > "$LOGS/$name.log" 2>&1 &
  PIDS="$PIDS $!"
}
serve consumer1 $((PORT + 2)) lmcache-decoder-config.yaml kv_consumer --no-enable-prefix-caching
serve producer1 "$PORT" lmcache-prefiller-config.yaml kv_producer
serve producer2 $((PORT + 1)) lmcache-prefiller-config.yaml kv_producer
"$VENV/bin/python" "$PROXY" --port $((PORT + 3)) --prefiller-port "$PORT" --num-prefillers 2 \
  --decoder-port $((PORT + 2)) > "$LOGS/proxy.log" 2>&1 &
PIDS="$PIDS $!"

"$VENV/bin/python" - "$PORT" "$LOGS" <<'PYTHON'
import re, sys, time
import httpx

port, logs = int(sys.argv[1]), sys.argv[2]
decoder, proxy = f"http://localhost:{port + 2}", f"http://localhost:{port + 3}"

def wait(url):
    for _ in range(600):
        try:
            return httpx.get(url)
        except httpx.TransportError:
            time.sleep(0.2)
    sys.exit(f"{url} does not answer; the logs are in {logs}")

def counters():
    text = httpx.get(f"{decoder}/metrics").text
    found = dict(re.findall(r'^vllm:prompt_tokens_by_source_total\{.*source="(\w+)"\} (\S+)$', text, re.M))
    return {name: float(value) for name, value in found.items()}

def ask(base, path, **fields):
    answer = httpx.post(base + path, json={"max_tokens": 16, "temperature": 0, **fields}, timeout=120)
    answer.raise_for_status()
    return answer

for number in range(4):
    wait(f"http://localhost:{port + number}/{'openapi.json' if number == 3 else 'health'}")
model = httpx.get(f"{decoder}/v1/models").json()["data"][0]["id"]
prompts = [f"Story number {n}. " + "The future of AI is " * (1 + 20 * n) for n in range(10)]
before = counters()
through = [ask(proxy, "/v1/completions", model=model, prompt=p).json() for p in prompts]
after = counters()
taken = after["external_kv_transfer"] - before["external_kv_transfer"]
tokens = sum(a["usage"]["prompt_tokens"] for a in through)
chat = ask(proxy, "/v1/chat/completions", model=model, stream=True, messages=[{"role": "user", "content": "Hello!"}])
# The receive buffer knows what was pushed, so the same prompt with a salt of its own is computed.
alone = [ask(decoder, "/v1/completions", model=model, prompt=p, cache_salt="alone").json() for p in prompts]
same = sum(a["choices"][0]["text"] == b["choices"][0]["text"] for a, b in zip(through, alone))
print(f"{len(prompts)} prompts of {tokens} tokens through LMCache's proxy: {same} answers equal those of one worker alone")
print(f"{taken:.0f} tokens' KV taken over by the decoder, {after['local_compute'] - before['local_compute']:.0f} computed there")
print(f"chat, streamed: {'[DONE]' in chat.text}")
if same != len(prompts) or taken != tokens - len(prompts) or "[DONE]" not in chat.text:
    sys.exit("the example does not work")
PYTHON
