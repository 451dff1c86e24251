// A closed-loop load generator for OpenAI-compatible endpoints, streaming ones first. One epoll thread.
//
//   gcc -O2 -Wall -o .build/benchmarks/loadgen Benchmarks/loadgen.c
//   .build/benchmarks/loadgen --port 8000 --conc 32 --duration 5 --prompt-bytes 200 --max-tokens 16
//
// --host H --port P --path /v1/completions --model M --conc C (--requests N | --duration SEC) --drain-ms D
// --prompt-bytes P --shared-prefix B (first B bytes equal in all prompts) --max-tokens M --stream 0|1 --chat 0|1 --usage 0|1
// --timeout-ms T --rate R (open loop: R requests/s at fixed gaps, conc is the cap) --header "K: V" (repeatable)
// --abort-after K (the client closes after K chunks)  --abort-ms T (it closes T ms after sending)
// --abort-random 1 (it closes at a random moment of these T ms)
// --read-bps B (slow reader, small SO_RCVBUF)  --verify 1 (checks the order of " tok<i>")  --raw-body FILE  --verbose 1
// --new-conn 1 (a new TCP connection for every request)
//
// Prints one JSON object. Outcomes: ok; http_<status>; trunc_clean (the stream ended without [DONE]); trunc_broken (the
// connection was cut inside the answer); err_event (200, then an event with "error"); timeout; connect; reset (no answer).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
typedef uint64_t u64;
static u64 now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }
static char *host = "127.0.0.1", *path = "/v1/completions", *model = "mock", *raw = NULL, *headers[16]; static int nheaders;
static int port = 8000, conc = 1, stream = 1, chat = 0, usage = 0, verify = 0, verbose = 0, newconn = 0; static long nreq = 0, pbytes = 200, shared = 0, maxtok = 16, timeout_ms = 60000, abort_after = 0, abort_ms = 0, abort_random = 0, read_bps = 0, drain_ms = 30000; static double duration = 0, rate = 0;
enum { OK, TRUNC_CLEAN, TRUNC_BROKEN, ERR_EVENT, TIMEOUT, CONNECT, RESET, ABORTED, BADORDER, NOUT };
static const char *oname[] = { "ok", "trunc_clean", "trunc_broken", "err_event", "timeout", "connect", "reset", "client_aborted", "bad_order" };
static long out[NOUT], http[600]; static long started, finished, chunks, chunks_win, bytes; static u64 t0, tend, tlast;
typedef struct { uint32_t *v; size_t n, cap; } vec; static vec ttfb, total;
static void vadd(vec *v, u64 ns) { if (v->n == v->cap) { v->cap = v->cap ? v->cap * 2 : 4096; v->v = realloc(v->v, v->cap * 4); } u64 us = ns / 1000; v->v[v->n++] = us > 0xffffffffu ? 0xffffffffu : us; }
static int cmp(const void *a, const void *b) { uint32_t x = *(uint32_t *)a, y = *(uint32_t *)b; return x < y ? -1 : x > y; }
static double pct(vec *v, double p) { if (!v->n) return 0; size_t i = (size_t)(p * (v->n - 1) + .5); return v->v[i] / 1000.0; }
static double mean(vec *v) { double s = 0; for (size_t i = 0; i < v->n; i++) s += v->v[i]; return v->n ? s / v->n / 1000 : 0; }
static unsigned long gap[400]; // ITL histogram, log scale: 20 per decade from 1us
static void gadd(u64 ns) { double us = ns / 1000.0; int i = 0; while (us >= 1.1220184543 && i < 399) { us /= 1.1220184543; i++; } gap[i]++; }
static double gpct(double p) { unsigned long s = 0, c = 0; for (int i = 0; i < 400; i++) s += gap[i]; if (!s) return 0; for (int i = 0; i < 400; i++) { c += gap[i]; if (c >= p * s) { double u = 1; for (int k = 0; k <= i; k++) u *= 1.1220184543; return u / 1000; } } return 0; }

enum { IDLE, CONNECTING, SEND, HDR, BODY };
typedef struct { int fd, st; uint32_t ev; char *req; size_t rn, ro, rcap; char hb[16384]; size_t hn; int status, chunked, close, done, err, got, bad; long clen, bodyn; int cst; long crem; char line[256]; int ln; long nch, expect; u64 t_send, t_abort, t_first, t_lastchunk, next_read; } conn;
static conn *cs; static int ep; static long seq; static char *filler; static u64 next_start;

static void build(conn *c) {
  size_t need = pbytes + 2048; if (raw) need += strlen(raw); if (c->rcap < need) { c->req = realloc(c->req, need); c->rcap = need; }
  static char *body; static size_t bcap; if (bcap < need) { body = realloc(body, need); bcap = need; }
  size_t b; seq++;
  if (raw) b = sprintf(body, "%s", raw);
  else {
    b = sprintf(body, chat ? "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"" : "{\"model\":\"%s\",\"prompt\":\"", model);
    long s = shared < pbytes ? shared : pbytes; memcpy(body + b, filler, s); b += s;
    long left = pbytes - s; char u[64]; int un = sprintf(u, "%08lx-%08lx ", (seq * 2654435761ul) & 0xffffffff, seq); if (un > left) un = left; memcpy(body + b, u, un); b += un; left -= un; memcpy(body + b, filler + s, left); b += left;
    b += sprintf(body + b, chat ? "\"}],\"max_tokens\":%ld,\"temperature\":0,\"stream\":%s%s}" : "\",\"max_tokens\":%ld,\"temperature\":0,\"stream\":%s%s}", maxtok, stream ? "true" : "false", usage && stream ? ",\"stream_options\":{\"include_usage\":true}" : "");
  }
  size_t n = sprintf(c->req, "POST %s HTTP/1.1\r\nhost: %s:%d\r\ncontent-type: application/json\r\naccept: */*\r\nuser-agent: loadgen\r\n", path, host, port);
  for (int i = 0; i < nheaders; i++) n += sprintf(c->req + n, "%s\r\n", headers[i]);
  n += sprintf(c->req + n, "content-length: %zu\r\n\r\n", b); memcpy(c->req + n, body, b); c->rn = n + b; c->ro = 0;
}
static void ev(conn *c, uint32_t e) { if (c->ev == e) return; struct epoll_event x = { .events = e, .data.ptr = c }; epoll_ctl(ep, c->ev ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &x); c->ev = e; }
static void drop(conn *c) { if (c->fd >= 0) close(c->fd); c->fd = -1; c->ev = 0; }
static void start(conn *c);
static void finish(conn *c, int o) {
  u64 t = now(); finished++; tlast = t;
  if (o == OK && c->bad) o = BADORDER;
  if (o == OK && c->err) o = ERR_EVENT;
  if (o == OK && c->status != 200) { http[c->status < 600 ? c->status : 599]++; if (verbose) fprintf(stderr, "http %d: %.300s\n", c->status, c->line); }
  else if (o == OK && stream && !c->done) out[TRUNC_CLEAN]++;
  else { out[o]++; if (o == OK) { vadd(&total, t - c->t_send); } else if (verbose) fprintf(stderr, "%s after %ld chunks, %.1f ms (status %d): %.200s\n", oname[o], c->nch, (t - c->t_send) / 1e6, c->status, c->line); }
  if (o != OK || c->close || newconn) drop(c);
  c->st = IDLE;
  start(c);
}
static void start(conn *c) {
  u64 t = now();
  if ((nreq && started >= nreq) || (duration > 0 && t >= tend)) { return; }
  if (rate > 0) { if (t < next_start) return; next_start += (u64)(1e9 / rate); }
  started++; build(c); c->hn = 0; c->status = 0; c->chunked = c->close = c->done = c->err = c->got = c->bad = 0; c->clen = -1; c->bodyn = 0; c->cst = 0; c->crem = 0; c->ln = 0; c->line[0] = 0; c->nch = 0; c->t_first = c->t_lastchunk = 0; c->t_send = t; c->t_abort = t + (u64)abort_ms * (abort_random ? rand() % 1000000 : 1000000); c->next_read = 0;
  if (c->fd < 0) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); int one = 1; setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); if (read_bps) { int rb = 4096; setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &rb, sizeof rb); }
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) }; inet_pton(AF_INET, host, &a.sin_addr);
    c->ev = 0; if (connect(c->fd, (void *)&a, sizeof a) && errno != EINPROGRESS) { c->st = CONNECTING; struct timespec ts = { 0, 1000000 }; nanosleep(&ts, NULL); finish(c, CONNECT); return; }
    c->st = CONNECTING; ev(c, EPOLLOUT);
  } else { c->st = SEND; ev(c, EPOLLOUT | EPOLLIN); }
}
static void sse_line(conn *c, u64 t) {
  if (c->ln < 5 || memcmp(c->line, "data:", 5)) { if (c->ln > 5 && (strstr(c->line, "error"))) c->err = 1; return; }
  if (strstr(c->line, "[DONE]")) { c->done = 1; return; }
  if (strstr(c->line, "\"error\"") || strstr(c->line, "'error'")) c->err = 1;
  if (verify) { char *p = strstr(c->line, " tok"); if (p) { long k = atol(p + 4); if (k != c->expect && !(c->nch == 0)) c->bad = 1; c->expect = k + 1; } }
  c->nch++; chunks++; if (!duration || t < tend) chunks_win++;
}
static void payload(conn *c, const char *p, size_t n, u64 t) {
  if (!n) return;
  c->bodyn += n; bytes += n; if (!c->t_first) { c->t_first = t; if (c->status == 200) vadd(&ttfb, t - c->t_send); }
  if (c->status != 200 || !stream) { size_t k = sizeof c->line - 1 - c->ln; if (k > n) k = n; memcpy(c->line + c->ln, p, k); c->ln += k; c->line[c->ln] = 0; return; }
  long before = c->nch;
  while (n) { const char *q = memchr(p, '\n', n); size_t k = q ? (size_t)(q - p) : n; size_t room = sizeof c->line - 1 - c->ln; size_t m = k < room ? k : room; memcpy(c->line + c->ln, p, m); c->ln += m; if (q) { c->line[c->ln] = 0; if (c->ln && c->line[0] != '\r') sse_line(c, t); c->ln = 0; p = q + 1; n -= k + 1; } else n = 0; }
  if (c->nch > before) { if (c->t_lastchunk) gadd(t - c->t_lastchunk); c->t_lastchunk = t; }
}
static int feed(conn *c, const char *p, size_t n, u64 t) { // returns 1 when the answer is complete
  if (c->st == HDR || c->st == SEND) {
    size_t k = sizeof c->hb - 1 - c->hn; if (k > n) k = n; size_t old = c->hn; memcpy(c->hb + c->hn, p, k); c->hn += k; c->hb[c->hn] = 0;
    char *e = memmem(c->hb, c->hn, "\r\n\r\n", 4); if (!e) return 0; size_t used = e + 4 - c->hb - old; *e = 0;
    c->status = atoi(c->hb + 9); if (c->status == 100) { c->hn = 0; return feed(c, p + used, n - used, t); }
    for (char *h = strchr(c->hb, '\n'); h; h = strchr(h + 1, '\n')) { h++; if (!strncasecmp(h, "content-length:", 15)) c->clen = atol(h + 15); else if (!strncasecmp(h, "transfer-encoding:", 18) && strcasestr(h, "chunked")) c->chunked = 1; else if (!strncasecmp(h, "connection: close", 17)) c->close = 1; h--; }
    c->st = BODY; if (c->clen < 0 && !c->chunked) c->close = 1; p += used; n -= used; if (c->clen == 0) return 1;
  }
  if (!c->chunked) { payload(c, p, n, t); return c->clen >= 0 && c->bodyn >= c->clen; }
  while (n) { // 0 size line, 1 data, 2 CRLF after data, 3 trailer
    if (c->cst == 0) { char ch = *p++; n--; if (isxdigit((unsigned char)ch)) c->crem = c->crem * 16 + (isdigit((unsigned char)ch) ? ch - '0' : (ch | 32) - 'a' + 10); else if (ch == '\n') { c->cst = c->crem ? 1 : 3; if (!c->crem) c->got = 0; } }
    else if (c->cst == 1) { size_t k = n < (size_t)c->crem ? n : (size_t)c->crem; payload(c, p, k, t); p += k; n -= k; c->crem -= k; if (!c->crem) c->cst = 2; }
    else if (c->cst == 2) { if (*p++ == '\n') { c->cst = 0; c->crem = 0; } n--; }
    else { char ch = *p++; n--; if (ch == '\n') { if (!c->got) return 1; c->got = 0; } else if (ch != '\r') c->got = 1; }
  }
  return 0;
}
static void on(conn *c, uint32_t e) {
  if (c->st == CONNECTING) { int er = 0; socklen_t l = sizeof er; getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &er, &l); if (er) { struct timespec ts = { 0, 1000000 }; nanosleep(&ts, NULL); finish(c, CONNECT); return; } c->st = SEND; }
  if (c->st == SEND && (e & EPOLLOUT)) { while (c->ro < c->rn) { ssize_t k = send(c->fd, c->req + c->ro, c->rn - c->ro, MSG_NOSIGNAL); if (k > 0) { c->ro += k; continue; } if (errno == EAGAIN) break; /* peer may have answered early (413): try to read */ break; } if (c->ro >= c->rn) { c->st = HDR; ev(c, EPOLLIN); } else ev(c, EPOLLIN | EPOLLOUT); }
  if (!(e & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  static char b[262144];
  for (int i = 0; i < 8; i++) {
    size_t want = sizeof b; u64 t = now();
    if (read_bps) { if (t < c->next_read) { ev(c, EPOLLHUP); return; } want = 512; c->next_read = t + (u64)want * 1000000000ull / read_bps; }
    ssize_t k = recv(c->fd, b, want, 0);
    if (k > 0) { t = now(); if (feed(c, b, k, t)) { finish(c, OK); return; } if (abort_after && c->nch >= abort_after) { struct linger l = { 1, 0 }; (void)l; finish(c, ABORTED); return; } if ((size_t)k < want) return; continue; }
    if (k < 0 && (errno == EAGAIN || errno == EINTR)) { return; }
    if (k < 0 && verbose) perror("recv");
    if (c->st == IDLE) { drop(c); return; }
    if (c->st == BODY && !c->chunked && c->clen < 0 && k == 0) { finish(c, OK); return; }
    if (c->st == BODY) finish(c, TRUNC_BROKEN); else finish(c, RESET);
    return;
  }
}
int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  for (int i = 1; i + 1 < argc; i += 2) { char *k = argv[i] + 2, *v = argv[i + 1];
#define I(n, x) if (!strcmp(k, n)) { x = atol(v); continue; }
    I("port", port) I("conc", conc) I("requests", nreq) I("prompt-bytes", pbytes) I("shared-prefix", shared) I("max-tokens", maxtok) I("stream", stream) I("chat", chat) I("usage", usage) I("timeout-ms", timeout_ms) I("abort-after", abort_after) I("abort-ms", abort_ms) I("abort-random", abort_random) I("read-bps", read_bps) I("verify", verify) I("verbose", verbose) I("drain-ms", drain_ms) I("new-conn", newconn)
    if (!strcmp(k, "duration")) { duration = atof(v); continue; } if (!strcmp(k, "rate")) { rate = atof(v); continue; } if (!strcmp(k, "host")) { host = v; continue; } if (!strcmp(k, "path")) { path = v; continue; } if (!strcmp(k, "model")) { model = v; continue; }
    if (!strcmp(k, "header")) { headers[nheaders++] = v; continue; }
    if (!strcmp(k, "raw-body")) { FILE *f = fopen(v, "r"); fseek(f, 0, 2); long n = ftell(f); rewind(f); raw = malloc(n + 1); n = fread(raw, 1, n, f); raw[n] = 0; continue; }
    fprintf(stderr, "bad option %s\n", argv[i]); return 2; }
  if (chat && !strcmp(path, "/v1/completions")) path = "/v1/chat/completions";
  filler = malloc(pbytes + 64); static const char *w = "the quick brown fox jumps over the lazy dog and runs away from it all "; for (long i = 0; i < pbytes + 64; i++) filler[i] = w[i % 70];
  ep = epoll_create1(0); cs = calloc(conc, sizeof *cs); t0 = now(); next_start = t0; tend = duration > 0 ? t0 + (u64)(duration * 1e9) : 0;
  for (int i = 0; i < conc; i++) { cs[i].fd = -1; start(&cs[i]); }
  struct epoll_event evs[512]; u64 lastscan = t0;
  while ((nreq ? finished < nreq : 0) || (duration > 0 && (now() < tend || finished < started))) {
    int w8 = read_bps || rate > 0 || abort_ms ? 1 : 50; int n = epoll_wait(ep, evs, 512, w8);
    for (int i = 0; i < n; i++) { conn *c = evs[i].data.ptr; if (c->fd < 0) continue; if (c->st == IDLE) { char x; if (recv(c->fd, &x, 1, MSG_PEEK) == 0) drop(c); else ev(c, EPOLLRDHUP); continue; } on(c, evs[i].events); }
    u64 t = now();
    if (t - lastscan > (u64)w8 * 1000000ull) { lastscan = t;
      for (int i = 0; i < conc; i++) { conn *c = &cs[i];
        if (c->st == IDLE) { start(c); continue; }
        if (abort_ms && t > c->t_abort) { finish(c, ABORTED); continue; }
        if (t - c->t_send > (u64)timeout_ms * 1000000ull) { finish(c, TIMEOUT); continue; }
        if (read_bps && c->fd >= 0 && t >= c->next_read && (c->st == BODY || c->st == HDR)) { ev(c, EPOLLIN); } }
      if (duration > 0 && t > tend + (u64)drain_ms * 1000000ull) { for (int i = 0; i < conc; i++) if (cs[i].st != IDLE) finish(&cs[i], TIMEOUT); break; }
    }
  }
  double wall = ((tlast ? tlast : now()) - t0) / 1e9; struct rusage ru; getrusage(RUSAGE_SELF, &ru); double cpu = ru.ru_utime.tv_sec + ru.ru_stime.tv_sec + (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
  qsort(ttfb.v, ttfb.n, 4, cmp); qsort(total.v, total.n, 4, cmp);
  printf("{\"conc\":%d,\"started\":%ld,\"ok\":%ld,\"wall_s\":%.3f,\"rps\":%.1f,\"ttfb_ms\":{\"mean\":%.3f,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f},\"total_ms\":{\"mean\":%.3f,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f},\"gap_ms\":{\"p50\":%.3f,\"p99\":%.3f},\"chunks\":%ld,\"chunks_per_s\":%.0f,\"mb\":%.2f,\"client_cpu_s\":%.2f,\"outcomes\":{", conc, started, out[OK], wall, out[OK] / wall, mean(&ttfb), pct(&ttfb, .5), pct(&ttfb, .9), pct(&ttfb, .99), pct(&ttfb, 1), mean(&total), pct(&total, .5), pct(&total, .9), pct(&total, .99), pct(&total, 1), gpct(.5), gpct(.99), chunks, duration > 0 ? chunks_win / duration : chunks / wall, bytes / 1e6, cpu);
  int f = 0; for (int i = 0; i < NOUT; i++) if (out[i]) printf("%s\"%s\":%ld", f++ ? "," : "", oname[i], out[i]); for (int i = 0; i < 600; i++) if (http[i]) printf("%s\"http_%d\":%ld", f++ ? "," : "", i, http[i]);
  printf("}}\n"); return 0;
}
