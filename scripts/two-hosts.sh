#!/bin/sh
# KV transfers between two hosts: two network namespaces of this machine, with a wire of 1 Gb/s and 20 ms between them.
#
#   scripts/two-hosts.sh [RATE [DELAY]]      (1gbit, 10ms each way; needs root, ip and tc)
#
# Prints the table of `xpyd bench transfer`: 1 Gb/s is 0.125 GB/s, of which TCP on such frames can use 0.118; and that of
# `xpyd bench follow`: how much of a transfer a prefill hides over such a wire. Where the kernel has no netem, the wire is
# shaped without the delay, and `bench follow` runs over a relay with it besides. XPYD names another binary.
set -eu
cd "$(dirname "$0")/.."
XPYD=${XPYD:-.build/release/xpyd}
RATE=${1:-1gbit}
DELAY=${2:-10ms}
A=xpyd-a-$$ B=xpyd-b-$$
WORK=$(mktemp -d)
PID=
cleanup() {
  [ -z "$PID" ] || kill "$PID" 2>/dev/null || :
  ip netns delete "$A" 2>/dev/null || :
  ip netns delete "$B" 2>/dev/null || :
  rm -rf "$WORK"
}
trap cleanup EXIT
echo "a secret of two namespaces" > "$WORK/secret"
chmod 600 "$WORK/secret"

ip netns add "$A"
ip netns add "$B"
ip link add veth0 netns "$A" type veth peer name veth0 netns "$B"
number=1
for name in "$A" "$B"; do
  ip -n "$name" address add 10.9.8.$number/24 dev veth0
  ip -n "$name" link set lo up
  ip -n "$name" link set veth0 up
  # The queue holds what is on its way for a round trip and more.
  tc -n "$name" qdisc add dev veth0 root netem rate "$RATE" delay "$DELAY" limit 20000 2>/dev/null || {
    tc -n "$name" qdisc add dev veth0 root tbf rate "$RATE" burst 256k latency 50ms
    DELAY="no delay: this kernel has no netem"
  }
  number=$((number + 1))
done

echo "A wire of $RATE, $DELAY:"
ip netns exec "$A" "$XPYD" bench transfer --listen 10.9.8.1:7000 --kv-secret-file "$WORK/secret" > "$WORK/listen" &
PID=$!
until grep -q listening "$WORK/listen"; do sleep 0.1; done
ip netns exec "$B" "$XPYD" bench transfer --connect 10.9.8.1:7000 --kv-secret-file "$WORK/secret" --transports tcp \
  --sizes 1M,11796480,64M,256M --streams 1,4 --repetitions 3
ip netns exec "$B" "$XPYD" bench follow --connect 10.9.8.1:7000 --kv-secret-file "$WORK/secret" --transports tcp
echo "Over a relay with 1 Gb/s and 10 ms each way:"
"$XPYD" bench follow --transports tcp --wire-rate 1000 --wire-delay 10
