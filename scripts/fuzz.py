"""Mutated requests and mutated answers, through the proxy's binary. Called by fuzz.sh."""

import argparse
import asyncio
import collections
import json
import random
import re
import subprocess
import sys
import zlib

from compare_routers import free_ports
from faults import get, wait_for

HOST = "127.0.0.1"
PATIENCE = 0.25  # seconds that a client waits for more: a mutated request may be one that is not whole
DEADLINE = 10  # seconds that an unmutated request may take
CONCURRENT = 256


class NotHTTP(Exception):
    pass


# ------------------------------------------------------------------------------------------------------------- strict HTTP

FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\x80-\xff\t]*)")
CHUNK = re.compile(rb"([0-9a-f]{1,8})\r\n")


def read_message(data, start_line, bodiless=lambda match: False):
    """One message at the beginning of `data`: its start line's match, fields, body and length; None if it is not all there."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > 70_000:
            raise NotHTTP("a head without end")
        return None
    first, *lines = bytes(data[:end]).split(b"\r\n")
    match = start_line.fullmatch(first)
    if not match:
        raise NotHTTP(f"start line {first[:100]}")
    fields = collections.defaultdict(list)
    for line in lines:
        if not (field := FIELD.fullmatch(line)):
            raise NotHTTP(f"field line {line[:100]}")
        fields[field[1].lower().decode()].append(field[2].decode("latin-1"))
    place = end + 4
    if bodiless(match):
        return match, fields, b"", place
    lengths, codings = fields.get("content-length", []), fields.get("transfer-encoding", [])
    if len(lengths) + len(codings) > 1 or codings not in ([], ["chunked"]):
        raise NotHTTP(f"framing {lengths} {codings}")
    if not codings:
        length = int(lengths[0]) if lengths else 0
        return (match, fields, bytes(data[place : place + length]), place + length) if len(data) >= place + length else None
    body = bytearray()
    while chunk := CHUNK.match(data, place):
        size = int(chunk[1], 16)
        place = chunk.end() + size + 2
        if len(data) < place:
            return None
        if data[place - 2 : place] != b"\r\n":
            raise NotHTTP("a chunk that does not end")
        if size == 0:
            return match, fields, bytes(body), place
        body += data[chunk.end() : place - 2]
    if len(data) - place > 10:
        raise NotHTTP(f"chunk line {bytes(data[place:place + 20])}")
    return None


REQUEST = re.compile(rb"(GET|POST) (/[\x21-\x7e]*) HTTP/1\.1")
STATUS = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) [\x20-\x7e]*")


def has_no_body(status):
    return status[1] in (b"100", b"204", b"304")


# --------------------------------------------------------------------------------------------------------------- workers

class Worker(asyncio.Protocol):
    """Records what comes, byte for byte, and answers; a mutated answer ends its connection."""

    def __init__(self, record):
        self.record = record
        self.data = bytearray()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.data += data
        try:
            while message := read_message(self.data, REQUEST):
                match, fields, body, length = message
                del self.data[:length]
                self.heard(match[1].decode(), match[2].decode(), fields, body)
        except NotHTTP as error:
            self.record.faults.append(f"a worker heard what is no HTTP: {error}")
            self.transport.abort()

    def heard(self, method, path, fields, body):
        if method == "GET":
            status = 200 if path == "/health" else 404
            return self.transport.write(b"HTTP/1.1 %d OK\r\nContent-Length: 0\r\n\r\n" % status)
        self.record.heard(path, fields, body)
        answer, mutated = self.record.answer(path, body)
        self.transport.write(answer)
        if mutated:
            self.transport.close()


def plain(body):
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def events(parts):
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def answer_to(path, body):
    """As an engine answers; the tag of the request is in it."""
    found = TAG.search(body)
    tag = found[0].decode() if found else "none"
    if b"do_remote_decode" in body:
        params = {"do_remote_prefill": True, "remote_request_id": tag, "remote_block_ids": [1, 2]}
        return plain(json.dumps({"id": tag, "choices": [{"text": " a"}], "kv_transfer_params": params}).encode())
    if b'"stream":true' not in body:
        return plain(json.dumps({"id": tag, "path": path, "choices": [{"index": 0, "text": " a b"}]}).encode())
    head = '{"id":"%s","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":' % tag
    ids = '"prompt_token_ids":[1],"token_ids":[2]', '"prompt_token_ids":null,"token_ids":[3]'
    choices = '" a","finish_reason":null,' + ids[0], '" b","finish_reason":"length",' + ids[1]
    return events([f"data: {head}{choice}}}]}}\n\n".encode() for choice in choices] + [b"data: [DONE]\n\n"])


class Record:
    """What the workers heard, and what is wrong with it."""

    def __init__(self, options, mutates_answers):
        self.options = options
        self.mutates_answers = mutates_answers
        self.faults = []
        self.ids = collections.Counter()
        self.answers = 0

    def heard(self, path, fields, body):
        names = fields.get("x-request-id", [])
        # The proxy gives each request an id of its own; what was smuggled past it has none, or one that came before.
        if len(names) != 1 or not re.fullmatch(r"[0-9a-f]{16}-\d+", names[0]):
            self.faults.append(f"a worker heard a request that the proxy did not make: {path} {dict(fields)}")
        else:
            self.ids[names[0]] += 1
            if not self.mutates_answers and self.ids[names[0]] > 2:
                self.faults.append(f"a worker heard {names[0]} more than once")

    def answer(self, path, body):
        answer = answer_to(path, body)
        if not self.mutates_answers:
            return answer, False
        self.answers += 1
        return mutated(answer, self.options.seed, self.answers, ANSWER_LINES), True


# -------------------------------------------------------------------------------------------------------------- mutation

REQUEST_LINES = [
    b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: +5", b"Content-Length: 5, 5", b"Content-Length : 5",
    b"Content-Length: 0x5", b"Content-Length: 99999999999999999999", b"Transfer-Encoding: chunked",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding: \tchunked", b"Transfer-Encoding: identity, chunked",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: xchunked", b"transfer-encoding:chunked",
    b"X: y\r\n Transfer-Encoding: chunked", b"X: y\nContent-Length: 5", b"X: y\rContent-Length: 5", b"Host: other",
    b"Connection: content-length", b"Connection: close", b"Expect: 100-continue", b"X: \0", b": empty", b"no colon",
    b"\r\nPOST /tokenize HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
]  # fmt: skip
ANSWER_LINES = [line for line in REQUEST_LINES if b"Host" not in line] + [
    b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 100 Continue\r\n", b"Content-Type: text/event-stream",
    b"Content-Type: application/json", b"Connection: x-request-id", b"X-Request-Id: stolen",
]  # fmt: skip
BYTES = b"\r\n\t :;,{}[]\"\\0123af-+xX\0\xff"


def mutated(message, seed, number, lines):
    """One to four changes of bytes, lines and slices, made from seed and number alone."""
    dice = random.Random(seed << 40 | number)
    data = bytearray(message)
    for _ in range(dice.randrange(1, 5)):
        place = dice.randrange(len(data) + 1)
        kind = dice.randrange(8)
        if kind == 0:
            data[place:place] = bytes([dice.choice(BYTES)])
        elif kind == 1:
            data[place : place + 1] = bytes([dice.randrange(256)])
        elif kind == 2:
            del data[place : place + dice.randrange(1, 8)]
        elif kind == 3:
            data[place:place] = data[place : place + dice.randrange(1, 64)]
        elif kind == 4:
            del data[place:]
        elif kind == 5:
            digits = [match for match in re.finditer(rb"\d+", bytes(data))]
            if digits:
                match = dice.choice(digits)
                data[match.start() : match.end()] = str(dice.choice([0, 1, 7, 255, 4096, 1 << 31, 1 << 63])).encode()
        else:
            ends = [match.end() for match in re.finditer(rb"\r\n", bytes(data))]
            if ends:
                place = dice.choice(ends[:6])
                data[place:place] = dice.choice(lines) + b"\r\n"
        if not data:
            data += b"x"
    return bytes(data)


def request(path, body, more=b""):
    return b"POST %s HTTP/1.1\r\nHost: h\r\n%sContent-Length: %d\r\n\r\n%s" % (path, more, len(body), body)


TAG = re.compile(rb"tag(\d+)-([0-9a-f]{8})")


def tag(number):
    """With a checksum, so that a mutated one is not taken for another request's."""
    return f"tag{number}-{zlib.crc32(b'%d' % number):08x}"


def tags(body):
    return {int(found[1]) for found in TAG.finditer(body) if found[0].decode() == tag(int(found[1]))}


def completion(number, stream):
    body = {"prompt": f"{tag(number)} of this prompt", "max_tokens": 4, "stream": stream}
    return json.dumps(body, separators=(",", ":")).encode()


def seeds():
    hidden = request(b"/v1/completions", completion(0, False))
    chunked = b"POST /tokenize HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
    return [
        request(b"/v1/completions", completion(0, False)),
        request(b"/v1/completions", completion(0, True)),
        # Where the body goes on untouched, it may be a request itself.
        request(b"/tokenize", hidden),
        chunked % (len(hidden), hidden),
        hidden + b"GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n" + hidden,
        request(b"http://h/v1/embeddings", hidden, b"Expect: 100-continue\r\nConnection: keep-alive, x\r\nX: y\r\n"),
    ]


# --------------------------------------------------------------------------------------------------------------- clients

async def responses(port, data, wants, patience):
    """Sends `data` and reads until `wants` answers are there, the proxy closes, or nothing came for `patience` seconds.

    Returns the answers, and how it ended: "whole", "broken off", "closed" without a word, or "silent".
    """
    reader, writer = await asyncio.open_connection(HOST, port)
    received, found, is_silent = bytearray(), [], False
    try:
        writer.write(data)
        while len(found) < wants:
            part = await asyncio.wait_for(reader.read(65_536), patience)
            if not part:
                break
            received += part
            while message := read_message(received, STATUS, has_no_body):
                del received[: message[3]]
                if message[0][1] != b"100":
                    found.append(message)
    except asyncio.TimeoutError:
        is_silent = True
    except ConnectionError:
        pass
    finally:
        writer.close()
    whole = "whole" if len(found) == wants else "closed"
    return found, "silent" if is_silent else "broken off" if received else whole


async def all_cases(count, case):
    numbers = iter(range(1, count + 1))

    async def work():
        for number in numbers:
            await case(number)

    await asyncio.gather(*(work() for _ in range(CONCURRENT)))


async def mutated_requests(port, record, options):
    """Whatever a client sends, the workers hear only requests that the proxy has made."""
    corpus, seen = seeds(), collections.Counter()

    async def case(number):
        data = mutated(corpus[number % len(corpus)], options.seed, number, REQUEST_LINES)
        try:
            found, _ = await responses(port, data, 1, PATIENCE)
            seen[found[0][0][1].decode() if found else "nothing"] += 1
        except NotHTTP as error:
            record.faults.append(f"request {number}: the client got what is no HTTP: {error}")

    await all_cases(options.requests, case)
    return seen


async def mutated_answers(port, record, options):
    """Whatever a worker answers, a client gets HTTP, and nothing of another client's answer."""
    seen = collections.Counter()

    async def case(number):
        while record.answers < options.answers:
            number += 1 << 24
            data = request(b"/v1/completions", completion(number, stream=number % 2 == 0))
            try:
                found, end = await responses(port, data, 1, DEADLINE)
                if end == "silent":
                    record.faults.append(f"client {number} got nothing more for {DEADLINE} s")
                if found and (others := tags(found[0][2]) - {number}):
                    record.faults.append(f"client {number} got the answer of {others}")
                seen[found[0][0][1].decode() if found else end] += 1
            except NotHTTP as error:
                record.faults.append(f"client {number} got what is no HTTP: {error}")

    await all_cases(CONCURRENT, case)
    return seen


# ------------------------------------------------------------------------------------------------------------------ runs

async def run(options, fuzz, mutates_answers):
    record = Record(options, mutates_answers)
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: Worker(record), HOST, 0) for _ in range(4)]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    [port] = free_ports(1)
    proxy = subprocess.Popen(
        [
            options.xpyd, "proxy", "--port", str(port), "--num-prefillers", "2", "--num-decoders", "2",
            "--prefiller-port", f"{ports[0]},{ports[1]}", "--decoder-port", f"{ports[2]},{ports[3]}",
            "--handoff", "nixl", "--disagg-threshold", "0", "--eject-after", "1000", "--log-level", "critical",
            "--access-log", "/dev/null", "--prefill-timeout", "5", "--first-token-timeout", "5", "--idle-timeout", "5",
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await asyncio.to_thread(wait_for, port)
        seen = await fuzz(port, record, options)
        if proxy.poll() is not None:
            record.faults.append(f"the proxy ended with {proxy.returncode}")
        else:
            record.mutates_answers = False
            await check_rest(port, record)
    finally:
        proxy.kill()
        proxy.wait()
        for server in servers:
            server.close()
    return record, seen


async def check_rest(port, record):
    """Nothing is under way any more, and an ordinary request is served."""
    for _ in range(100):
        stats = json.loads(await asyncio.to_thread(get, port, "/stats"))
        if not stats["admission"]["running"]:
            break
        await asyncio.sleep(0.1)
    else:
        record.faults.append(f"requests hang: {stats['admission']}")
    found, _ = await responses(port, request(b"/v1/completions", completion(123456789, False)), 1, DEADLINE)
    if not found or found[0][0][1] != b"200" or tags(found[0][2]) != {123456789}:
        record.faults.append(f"an ordinary request got {found}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--xpyd", required=True)
    parser.add_argument("--requests", type=int, default=100_000, help="mutated ones")
    parser.add_argument("--answers", type=int, default=100_000, help="mutated ones")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    is_well = True
    for name, count, fuzz in (
        ("requests", options.requests, mutated_requests), ("answers", options.answers, mutated_answers)
    ):  # fmt: skip
        if not count:
            continue
        record, seen = asyncio.run(run(options, fuzz, mutates_answers=fuzz is mutated_answers))
        print(f"{record.answers or count} mutated {name}: workers heard {sum(record.ids.values())} requests; clients saw {dict(seen)}")
        for fault in record.faults[:20]:
            print("FAULT", fault)
        print(f"faults: {len(record.faults)}")
        is_well = is_well and not record.faults
    return not is_well


if __name__ == "__main__":
    sys.exit(main())
