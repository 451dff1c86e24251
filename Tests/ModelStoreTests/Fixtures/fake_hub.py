"""A Hugging Face hub for ModelPullTests. Prints its port; ends when its standard input does.

GET /ORG/CASE/resolve/main/FILE answers as CASE says; GET /log gives the requests' headers so far, a JSON line each.
"""
import hashlib, http.server, json, sys, threading, time

BODY = b"GGUF" + bytes(range(256)) * 1000
SHA = hashlib.sha256(BODY).hexdigest()
log, counts = [], {}


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_): pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def whole(self, **headers):
        self.answer(200, BODY, ETag='"v1"', X_Linked_Etag=f'"{SHA}"', **headers)

    def do_GET(self):
        if self.path == "/log":
            return self.answer(200, "\n".join(json.dumps(entry) for entry in log).encode())
        case = self.path.split("/")[2]
        counts[case] = count = counts.get(case, 0) + 1
        log.append({"case": case, "host": self.headers["Host"], **{k: self.headers[k] for k in ("Range", "If-Range", "Authorization")}})
        start = self.headers["Range"]
        start = int(start[6:-1]) if start else None
        if case == "whole":
            self.whole()
        elif case in ("cut", "always-cut", "changed") and start is None and not (case == "changed" and count > 1):
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.send_header("ETag", '"v1"')
            self.send_header("X-Linked-Etag", f'"{SHA}"')
            self.end_headers()
            self.wfile.write(BODY[:100_000])
            self.wfile.flush()
            self.close_connection = True
        elif case == "cut":
            rest = BODY[start:]
            self.answer(206, rest, ETag='"v1"', X_Linked_Etag=f'"{SHA}"', Content_Range=f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        elif case == "changed":
            self.whole()
        elif case == "range-refused":
            self.answer(416) if start is not None else self.whole()
        elif case in ("401", "403", "404", "503"):
            self.answer(int(case))
        elif case == "wrong-hash":
            self.answer(200, BODY, X_Linked_Etag='"' + "0" * 64 + '"')
        elif case == "redirect":
            port = self.server.server_address[1]
            self.answer(302, Location=f"http://localhost:{port}/cdn/elsewhere/x", X_Linked_Etag=f'"{SHA}"')
        elif case == "elsewhere":
            self.answer(200, BODY, ETag='"other"')
        elif case == "stall":
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY[:1000])
            self.wfile.flush()
            time.sleep(20)
        else:
            self.answer(404)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
server.daemon_threads = True
print(server.server_address[1], flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
