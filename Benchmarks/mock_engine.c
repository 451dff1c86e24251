// A fast mock of an OpenAI-compatible engine, to measure routers with: it computes nothing, so what is left is the
// router's own cost. One epoll loop a thread (SO_REUSEPORT); HTTP/1.1 with keep-alive and pipelining.
//
//   gcc -O2 -Wall -pthread -o .build/benchmarks/mock_engine Benchmarks/mock_engine.c
//   … -DWITH_ZMQ … -lzmq      with LMCache's notifications
//
// POST /v1/completions, /v1/chat/completions, /generate
//    A prefill is a request in role prefill, or one with max_tokens 1 and no stream, or with do_remote_decode: its answer
//    is one JSON with kv_transfer_params (or, streamed, one chunk).
//    stream: true: chunks, a usage chunk, data: [DONE]; else one JSON. Chunks: the least of max_tokens and --chunks.
//    return_token_ids: the text " tok7" is token 1007; a prompt of ids that ends with 1006 is continued with it.
// POST /tokenize     {"count":n,"tokens":[...]}, a token for each four bytes
// GET  /health /v1/models /metrics /version /get_model_info /get_server_info /server_info
// GET  /stats        counters, as JSON;   POST /admin?key=value&key=value changes a setting at run time
//
// Options, all of which /admin also takes:
//   --port P --host H --threads T --role any|prefill|decode --model NAME
//   --chunks N --itl-us U --ttft-us U --prefill-us U --chunk-bytes B (of each chunk's text) --coalesce K
//   --catch-up 1                   a stream that is behind its schedule gets all that is due in one write
//   --fail-rate F --fail-status S --hang-rate F --health-hang 0|1 --health-status S
//   --die-rate F --die-after K     the connection is reset after K chunks, as if the engine had died in mid-stream
//   --stall-rate F --stall-after K nothing comes after K chunks, and the connection stays
//   --break-rate F                 the connection is reset in the middle of a JSON answer, or after a stream's head
//   --exit-after K                 the process ends after K chunks in all
//   --zmq-push tcp://H:P --notify-http H:P --tp N     LMCache's notifications to a router
//   --log 1                        aborts and faults on standard error
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_ZMQ
#include <zmq.h>
#endif

typedef uint64_t u64;
static u64 now_ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }

// ---------------------------------------------------------------- settings
enum { ROLE_ANY, ROLE_PREFILL, ROLE_DECODE };
static struct {
  char host[64]; int port, threads, role; char model[128];
  long chunks, itl_us, ttft_us, prefill_us, chunk_bytes, coalesce, catch_up;
  double fail_rate, hang_rate, die_rate, stall_rate, break_rate; int stall_after, fail_status, die_after, health_hang, health_status;
  long exit_after; char zmq_push[128], notify_http[128]; int tp, log;
} S = { .host = "127.0.0.1", .port = 8100, .threads = 1, .role = ROLE_ANY, .model = "mock", .chunks = 1000000, .coalesce = 1,
        .fail_status = 500, .die_after = 5, .stall_after = 5, .health_status = 200, .tp = 1 };

static struct { atomic_ulong conns, open, reqs, prefill, decode_stream, decode_json, tokenize, chunks, bytes_in, bytes_out,
  aborted_stream, aborted_prefill, aborted_hang, hung, failed, died, done_stream, active_stream, peak_stream, other, notified; } C;

static int set_opt(const char *k0, const char *v) {
  char k[64]; snprintf(k, sizeof k, "%s", k0); for (char *p = k; *p; p++) if (*p == '_') *p = '-';
#define I(n, f) if (!strcmp(k, n)) { S.f = atol(v); return 1; }
#define D(n, f) if (!strcmp(k, n)) { S.f = atof(v); return 1; }
#define T(n, f) if (!strcmp(k, n)) { snprintf(S.f, sizeof S.f, "%s", v); return 1; }
  I("port", port) I("threads", threads) I("chunks", chunks) I("itl-us", itl_us) I("ttft-us", ttft_us) I("prefill-us", prefill_us)
  I("chunk-bytes", chunk_bytes) I("coalesce", coalesce) I("catch-up", catch_up) I("fail-status", fail_status) I("die-after", die_after) I("exit-after", exit_after)
  I("health-hang", health_hang) I("health-status", health_status) I("tp", tp) I("log", log)
  I("stall-after", stall_after) D("stall-rate", stall_rate) D("break-rate", break_rate)
  D("fail-rate", fail_rate) D("hang-rate", hang_rate) D("die-rate", die_rate)
  T("host", host) T("model", model) T("zmq-push", zmq_push) T("notify-http", notify_http)
  if (!strcmp(k, "role")) { S.role = !strcmp(v, "prefill") ? ROLE_PREFILL : !strcmp(v, "decode") ? ROLE_DECODE : ROLE_ANY; return 1; }
  return 0;
}

// ---------------------------------------------------------------- buffers
typedef struct { char *p; size_t n, cap; } buf;
static void bres(buf *b, size_t add) { if (b->n + add > b->cap) { size_t c = b->cap ? b->cap : 4096; while (c < b->n + add) c *= 2; b->p = realloc(b->p, c); b->cap = c; } }
static void badd(buf *b, const void *s, size_t n) { bres(b, n); memcpy(b->p + b->n, s, n); b->n += n; }
static void bfmt(buf *b, const char *f, ...) { va_list a; va_start(a, f); char t[2048]; int n = vsnprintf(t, sizeof t, f, a); va_end(a); if (n > (int)sizeof t - 1) n = sizeof t - 1; badd(b, t, n); }

// ---------------------------------------------------------------- connections
enum { ST_READ, ST_WAIT_PREFILL, ST_STREAM, ST_HANG, ST_CLOSE };
typedef struct conn {
  int fd, st; buf in, out; size_t outoff; uint32_t ev;
  size_t hdr_end; long clen; int chunked, keep, want100;
  // request
  int is_stream, is_chat, is_prefill, ret_first, die_at, stall_at, breaks, ids; long base;
  long nchunks, idx, ptoks; char xrid[96], lmreq[64]; u64 reqid, due; int heap; int lm_notify;
} conn;
typedef struct { int ep, lfd; conn **h; int hn, hcap; u64 rng; conn *dead[4096]; int ndead; u64 seq; int tid; void *zs; } loop;

static double rnd(loop *L) { L->rng ^= L->rng << 13; L->rng ^= L->rng >> 7; L->rng ^= L->rng << 17; return (L->rng >> 11) * (1.0 / 9007199254740992.0); }

static void hswap(loop *L, int a, int b) { conn *t = L->h[a]; L->h[a] = L->h[b]; L->h[b] = t; L->h[a]->heap = a; L->h[b]->heap = b; }
static void hup(loop *L, int i) { while (i > 0) { int p = (i - 1) / 2; if (L->h[p]->due <= L->h[i]->due) break; hswap(L, p, i); i = p; } }
static void hdown(loop *L, int i) { for (;;) { int l = 2 * i + 1, r = l + 1, m = i; if (l < L->hn && L->h[l]->due < L->h[m]->due) m = l; if (r < L->hn && L->h[r]->due < L->h[m]->due) m = r; if (m == i) break; hswap(L, m, i); i = m; } }
static void hadd(loop *L, conn *c, u64 due) { c->due = due; if (c->heap >= 0) { hup(L, c->heap); hdown(L, c->heap); return; }
  if (L->hn == L->hcap) { L->hcap = L->hcap ? L->hcap * 2 : 256; L->h = realloc(L->h, L->hcap * sizeof *L->h); } c->heap = L->hn; L->h[L->hn++] = c; hup(L, c->heap); }
static void hdel(loop *L, conn *c) { if (c->heap < 0) return; int i = c->heap; L->hn--; if (i != L->hn) { L->h[i] = L->h[L->hn]; L->h[i]->heap = i; hup(L, i); hdown(L, i); } c->heap = -1; }

static void set_ev(loop *L, conn *c, uint32_t ev) { if (c->ev == ev) return; struct epoll_event e = { .events = ev, .data.ptr = c }; epoll_ctl(L->ep, EPOLL_CTL_MOD, c->fd, &e); c->ev = ev; }

static void cclose(loop *L, conn *c, int peer) {
  if (c->st == ST_CLOSE) return;
  if (peer) {
    if (c->st == ST_STREAM) { C.aborted_stream++; if (S.log) fprintf(stderr, "[%d] %.3f stream %s aborted by peer at chunk %ld/%ld\n", S.port, now_ns() / 1e9, c->xrid, c->idx, c->nchunks); }
    if (c->st == ST_WAIT_PREFILL) { C.aborted_prefill++; if (S.log) fprintf(stderr, "[%d] %.3f prefill %s aborted by peer\n", S.port, now_ns() / 1e9, c->xrid); }
    if (c->st == ST_HANG) { C.aborted_hang++; if (S.log) fprintf(stderr, "[%d] %.3f hung request %s dropped by peer\n", S.port, now_ns() / 1e9, c->xrid); }
  }
  if (c->st == ST_STREAM) C.active_stream--;
  hdel(L, c); c->st = ST_CLOSE; close(c->fd); c->fd = -1; C.open--;
  if (L->ndead < 4096) L->dead[L->ndead++] = c;
}

static int flush_out(loop *L, conn *c) { // 0 ok (maybe pending), -1 closed
  while (c->outoff < c->out.n) {
    ssize_t k = send(c->fd, c->out.p + c->outoff, c->out.n - c->outoff, MSG_NOSIGNAL);
    if (k > 0) { c->outoff += k; C.bytes_out += k; continue; }
    if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) { set_ev(L, c, EPOLLIN | EPOLLOUT | EPOLLRDHUP); return 0; }
    cclose(L, c, 1); return -1;
  }
  c->out.n = c->outoff = 0;
  if (c->out.cap > 1 << 20) { free(c->out.p); memset(&c->out, 0, sizeof c->out); }
  set_ev(L, c, EPOLLIN | EPOLLRDHUP);
  return 0;
}

static void reply(loop *L, conn *c, int status, const char *ctype, const char *body, size_t n) {
  const char *r = status == 200 ? "OK" : status == 404 ? "Not Found" : status == 400 ? "Bad Request" : status == 503 ? "Service Unavailable" : status == 500 ? "Internal Server Error" : "Status";
  bfmt(&c->out, "HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %zu\r\n%s\r\n", status, r, ctype, n, c->keep ? "" : "connection: close\r\n");
  badd(&c->out, body, n);
}

// ---------------------------------------------------------------- LMCache notifications
typedef struct { char id[96]; int zmq; } note;
static note *nq; static int nq_cap = 65536; static atomic_ulong nq_h, nq_t; static pthread_mutex_t nq_m = PTHREAD_MUTEX_INITIALIZER; static pthread_cond_t nq_c = PTHREAD_COND_INITIALIZER;
static void notify(const char *id, int zmq) { pthread_mutex_lock(&nq_m); if (nq_h - nq_t < (unsigned long)nq_cap) { note *n = &nq[nq_h % nq_cap]; snprintf(n->id, sizeof n->id, "%s", id); n->zmq = zmq; nq_h++; pthread_cond_signal(&nq_c); } pthread_mutex_unlock(&nq_m); }
static int http_connect(const char *hp) { char h[128]; snprintf(h, sizeof h, "%s", hp); char *p = strchr(h, ':'); if (!p) return -1; *p++ = 0; int fd = socket(AF_INET, SOCK_STREAM, 0); struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(atoi(p)) }; inet_pton(AF_INET, h, &a.sin_addr); if (connect(fd, (void *)&a, sizeof a)) { close(fd); return -1; } int one = 1; setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); return fd; }
static void *note_thread(void *x) {
  (void)x; int fd = -1;
#ifdef WITH_ZMQ
  void *zctx = zmq_ctx_new(), *zs = NULL;
#endif
  for (;;) {
    pthread_mutex_lock(&nq_m); while (nq_h == nq_t) pthread_cond_wait(&nq_c, &nq_m); note n = nq[nq_t % nq_cap]; nq_t++; pthread_mutex_unlock(&nq_m);
#ifdef WITH_ZMQ
    if (n.zmq) {
      if (!zs) { zs = zmq_socket(zctx, ZMQ_PUSH); int lin = 0, hwm = 100000; zmq_setsockopt(zs, ZMQ_LINGER, &lin, sizeof lin); zmq_setsockopt(zs, ZMQ_SNDHWM, &hwm, sizeof hwm); zmq_connect(zs, S.zmq_push); }
      // msgpack: {"type":"ProxyNotif","req_id":"..."}
      char m[160]; int k = 0, l = strlen(n.id); m[k++] = (char)0x82; m[k++] = (char)0xa4; memcpy(m + k, "type", 4); k += 4; m[k++] = (char)0xaa; memcpy(m + k, "ProxyNotif", 10); k += 10; m[k++] = (char)0xa6; memcpy(m + k, "req_id", 6); k += 6; m[k++] = (char)0xd9; m[k++] = (char)l; memcpy(m + k, n.id, l); k += l;
      for (int i = 0; i < S.tp; i++) zmq_send(zs, m, k, 0);
      C.notified++; continue;
    }
#endif
    char body[256], msg[512], rb[1024]; int bl = snprintf(body, sizeof body, "{\"event\":\"request_store_finished\",\"request_ids_set\":[\"cmpl-%s-0\"],\"model_name\":\"mock\",\"world_size\":1,\"kv_rank\":0}", n.id);
    int ml = snprintf(msg, sizeof msg, "POST /api/v1/telemetry HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", bl, body);
    for (int t = 0; t < 2; t++) { if (fd < 0) fd = http_connect(S.notify_http); if (fd < 0) break; if (send(fd, msg, ml, MSG_NOSIGNAL) == ml && recv(fd, rb, sizeof rb, 0) > 0) { C.notified++; break; } close(fd); fd = -1; }
  }
  return NULL;
}

// ---------------------------------------------------------------- bodies
static long jnum(const char *b, size_t n, const char *key, long dflt) { const char *p = memmem(b, n, key, strlen(key)); if (!p) return dflt; p += strlen(key); const char *e = b + n; while (p < e && (*p == ' ' || *p == ':')) p++; if (p < e && isdigit((unsigned char)*p)) return atol(p); return dflt; }
static int jtrue(const char *b, size_t n, const char *key) { const char *p = memmem(b, n, key, strlen(key)); if (!p) return 0; p += strlen(key); const char *e = b + n; while (p < e && (*p == ' ' || *p == ':')) p++; return p + 4 <= e && !memcmp(p, "true", 4); }

// How many of the prompt's token ids are ours, so that the text goes on after them.
static long continued(const char *b, size_t n) {
  const char *e = b + n, *p = memmem(b, n, "\"prompt\"", 8); if (!p) return 0;
  for (p += 8; p < e && (*p == ' ' || *p == ':'); p++) {}
  if (p >= e || *p != '[') return 0;
  const char *q = memchr(p, ']', e - p); if (!q) return 0;
  while (q > p && isdigit((unsigned char)q[-1])) q--;
  long id = atol(q); return id >= 1000 ? id - 999 : 0;
}

static void kv_params(buf *o, conn *c) {
  bfmt(o, "\"kv_transfer_params\":{\"do_remote_prefill\":true,\"do_remote_decode\":false,\"remote_block_ids\":[[");
  long nb = (c->ptoks + 15) / 16; if (nb < 1) nb = 1; for (long i = 0; i < nb; i++) bfmt(o, i ? ",%ld" : "%ld", (long)((c->reqid * 7 + i) % 65536));
  bfmt(o, "]],\"remote_engine_id\":\"mock-%d\",\"remote_request_id\":\"cmpl-%llu\",\"remote_host\":\"127.0.0.1\",\"remote_port\":%d,\"tp_size\":1%s}", S.port, (unsigned long long)c->reqid, S.port + 1000, c->ret_first ? ",\"first_tok\":42" : "");
}
static void json_answer(loop *L, conn *c, int kv, long n) {
  buf b = { 0 };
  bfmt(&b, "{\"id\":\"%s-%llu\",\"object\":\"%s\",\"created\":1763850000,\"model\":\"%s\",\"choices\":[{\"index\":0,", c->is_chat ? "chatcmpl" : "cmpl", (unsigned long long)c->reqid, c->is_chat ? "chat.completion" : "text_completion", S.model);
  if (c->is_chat) bfmt(&b, "\"message\":{\"role\":\"assistant\",\"content\":\""); else bfmt(&b, "\"text\":\"");
  for (long i = 0; i < n && i < 100000; i++) bfmt(&b, " tok%ld", i);
  bfmt(&b, "\"%s,\"logprobs\":null,\"finish_reason\":\"length\",\"stop_reason\":null}],\"usage\":{\"prompt_tokens\":%ld,\"total_tokens\":%ld,\"completion_tokens\":%ld}", c->is_chat ? "}" : "", c->ptoks, c->ptoks + n, n);
  if (kv) { badd(&b, ",", 1); kv_params(&b, c); } else bfmt(&b, ",\"kv_transfer_params\":null");
  badd(&b, "}", 1); reply(L, c, 200, "application/json", b.p, b.n); free(b.p);
}
static void add_chunked(buf *o, const char *p, size_t n) { bfmt(o, "%zx\r\n", n); badd(o, p, n); badd(o, "\r\n", 2); }
static char *pad; static long padn;
static void sse_chunk(conn *c) {
  char t[1024], ids[32] = "null"; int n;
  const char *pids = c->ids && c->idx == 0 ? "[1,2,3]" : "null";
  long i = c->base + c->idx; const char *fin = (c->idx + 1 == c->nchunks) ? "\"length\"" : "null";
  if (c->ids) snprintf(ids, sizeof ids, "[%ld]", 1000 + i);
  if (S.chunk_bytes > 0) {
    buf b = { 0 }; bfmt(&b, "data: {\"id\":\"cmpl-%llu\",\"object\":\"text_completion\",\"created\":1763850000,\"model\":\"%s\",\"choices\":[{\"index\":0,\"text\":\"", (unsigned long long)c->reqid, S.model);
    long w = S.chunk_bytes < padn ? S.chunk_bytes : padn; badd(&b, pad, w); bfmt(&b, "\",\"logprobs\":null,\"finish_reason\":%s}],\"usage\":null}\n\n", fin); add_chunked(&c->out, b.p, b.n); free(b.p);
  } else {
    if (c->is_chat) n = snprintf(t, sizeof t, "data: {\"id\":\"chatcmpl-%llu\",\"object\":\"chat.completion.chunk\",\"created\":1763850000,\"model\":\"%s\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" tok%ld\"},\"logprobs\":null,\"finish_reason\":%s,\"token_ids\":%s}],\"prompt_token_ids\":%s}\n\n", (unsigned long long)c->reqid, S.model, i, fin, ids, pids);
    else n = snprintf(t, sizeof t, "data: {\"id\":\"cmpl-%llu\",\"object\":\"text_completion\",\"created\":1763850000,\"model\":\"%s\",\"choices\":[{\"index\":0,\"text\":\" tok%ld\",\"logprobs\":null,\"finish_reason\":%s,\"stop_reason\":null,\"prompt_token_ids\":%s,\"token_ids\":%s}],\"usage\":null}\n\n", (unsigned long long)c->reqid, S.model, i, fin, pids, ids);
    add_chunked(&c->out, t, n);
  }
  c->idx++; C.chunks++;
  if (S.exit_after && (long)C.chunks >= S.exit_after) _exit(9);
}
static void sse_end(conn *c) {
  char t[512]; int n = snprintf(t, sizeof t, "data: {\"id\":\"%s-%llu\",\"object\":\"%s\",\"created\":1763850000,\"model\":\"%s\",\"choices\":[],\"usage\":{\"prompt_tokens\":%ld,\"total_tokens\":%ld,\"completion_tokens\":%ld}}\n\n", c->is_chat ? "chatcmpl" : "cmpl", (unsigned long long)c->reqid, c->is_chat ? "chat.completion.chunk" : "text_completion", S.model, c->ptoks, c->ptoks + c->nchunks, c->nchunks);
  add_chunked(&c->out, t, n); add_chunked(&c->out, "data: [DONE]\n\n", 14); badd(&c->out, "0\r\n\r\n", 5);
}

static int process_in(loop *L, conn *c);
static int finish(loop *L, conn *c) { // answer fully queued; go on with the next request
  c->st = ST_READ; if (flush_out(L, c) < 0) return -1;
  if (!c->keep && c->outoff >= c->out.n) { shutdown(c->fd, SHUT_WR); cclose(L, c, 0); return -1; }
  return c->in.n ? process_in(L, c) : 0;
}
static void start_stream(loop *L, conn *c) {
  bfmt(&c->out, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n");
  c->st = ST_STREAM; c->idx = 0; C.decode_stream++; unsigned long a = ++C.active_stream; if (a > C.peak_stream) C.peak_stream = a;
}
static int pump(loop *L, conn *c) { // a due stream: emit the next chunk(s)
  if (c->outoff < c->out.n && c->out.n - c->outoff > 65536) { hdel(L, c); return 0; } // blocked by the reader: resume on EPOLLOUT
  long due = S.coalesce; // chunks to write now
  if (S.catch_up && S.itl_us) { u64 t = now_ns(); due = t > c->due ? 1 + (t - c->due) / (S.itl_us * 1000ull) : 1; }
  for (long k = 0; k < due && c->idx < c->nchunks; k++) {
    sse_chunk(c);
    if (c->die_at >= 0 && c->idx >= c->die_at) { flush_out(L, c); C.died++; struct linger l = { 1, 0 }; setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l); if (c->st != ST_CLOSE) { if (S.log) fprintf(stderr, "[%d] stream %s: simulated death at chunk %ld\n", S.port, c->xrid, c->idx); cclose(L, c, 0); } return -1; }
  }
  if (c->stall_at >= 0 && c->idx >= c->stall_at) { hdel(L, c); C.active_stream--; c->st = ST_HANG; return flush_out(L, c); }
  if (c->idx >= c->nchunks) { sse_end(c); hdel(L, c); C.done_stream++; C.active_stream--; return finish(L, c); }
  hadd(L, c, S.itl_us ? c->due + S.itl_us * 1000ull * (S.catch_up ? due : 1) : now_ns());
  return flush_out(L, c);
}
static int reset(loop *L, conn *c) { // sends what is there, then cuts the connection
  if (flush_out(L, c) < 0) return -1;
  C.died++; struct linger l = { 1, 0 }; setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l); cclose(L, c, 0); return -1;
}
static int answer(loop *L, conn *c) { // after the prefill/ttft delay
  if (c->breaks) { bfmt(&c->out, c->is_stream ? "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n" : "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"id\":"); return reset(L, c); }
  if (c->is_stream) {
    if (c->is_prefill) c->nchunks = 1;
    start_stream(L, c); c->due = now_ns(); return pump(L, c);
  }
  if (c->is_prefill) { C.prefill++; json_answer(L, c, 1, 1); }
  else { C.decode_json++; json_answer(L, c, 0, c->nchunks > 100000 ? 16 : c->nchunks); }
  if (c->lm_notify) notify(c->lmreq, 1);
  if (S.notify_http[0] && c->is_prefill && c->xrid[0]) notify(c->xrid, 0);
  return finish(L, c);
}

static void stats(buf *b) {
#define N(x) bfmt(b, "\"%s\":%lu,", #x, (unsigned long)C.x)
  bfmt(b, "{"); N(conns); N(open); N(reqs); N(prefill); N(decode_stream); N(decode_json); N(tokenize); N(chunks); N(bytes_in); N(bytes_out); N(aborted_stream); N(aborted_prefill); N(aborted_hang); N(hung); N(failed); N(died); N(done_stream); N(active_stream); N(peak_stream); N(notified); N(other);
  bfmt(b, "\"port\":%d}", S.port);
}

static int handle(loop *L, conn *c, const char *method, const char *path, const char *body, size_t n) {
  C.reqs++; c->reqid = ((u64)(L->tid + 1) << 40) + ++L->seq;
  buf b = { 0 }; int post = !strcmp(method, "POST");
  c->is_chat = !strncmp(path, "/v1/chat/completions", 20);
  int gen = post && (c->is_chat || !strncmp(path, "/v1/completions", 15) || !strcmp(path, "/generate") || !strncmp(path, "/inference/v1/generate", 22));
  if (gen) {
    C.bytes_in += n;
    if (S.hang_rate > 0 && rnd(L) < S.hang_rate) { C.hung++; c->st = ST_HANG; if (S.log) fprintf(stderr, "[%d] hanging request %s\n", S.port, c->xrid); return 0; }
    if (S.fail_rate > 0 && rnd(L) < S.fail_rate) { C.failed++; static const char e[] = "{\"error\":{\"message\":\"mock engine failure\",\"type\":\"InternalServerError\",\"param\":null,\"code\":500}}"; reply(L, c, S.fail_status, "application/json", e, sizeof e - 1); return finish(L, c); }
    long mt = jnum(body, n, "\"max_tokens\"", -1), mct = jnum(body, n, "\"max_completion_tokens\"", -1); if (mct >= 0 && (mt < 0 || mct < mt)) mt = mct;
    c->is_stream = jtrue(body, n, "\"stream\"");
    c->is_prefill = S.role == ROLE_PREFILL || (S.role != ROLE_DECODE && mt == 1 && !c->is_stream) || jtrue(body, n, "\"do_remote_decode\"");
    c->nchunks = mt >= 1 && mt < S.chunks ? mt : S.chunks; c->ptoks = (long)n / 4;
    c->ret_first = jtrue(body, n, "\"ret_first_tok\"");
    c->lm_notify = 0;
    if (S.zmq_push[0] && c->is_prefill) { const char *p = memmem(body, n, "\"req_id\"", 8); if (p) { p += 8; while (*p == ' ' || *p == ':') p++; if (*p == '"') { p++; int k = 0; while (*p != '"' && k < 63) c->lmreq[k++] = *p++; c->lmreq[k] = 0; c->lm_notify = 1; } } }
    c->die_at = S.die_rate > 0 && !c->is_prefill && rnd(L) < S.die_rate ? S.die_after : -1;
    c->stall_at = S.stall_rate > 0 && !c->is_prefill && rnd(L) < S.stall_rate ? S.stall_after : -1;
    c->breaks = S.break_rate > 0 && rnd(L) < S.break_rate;
    c->ids = jtrue(body, n, "\"return_token_ids\"");
    c->base = continued(body, n);
    u64 d = (c->is_prefill ? S.prefill_us : S.ttft_us) * 1000ull;
    if (d) { c->st = ST_WAIT_PREFILL; hadd(L, c, now_ns() + d); return 0; }
    return answer(L, c);
  }
  if (post && !strncmp(path, "/tokenize", 9)) { C.tokenize++; long t = (long)n / 4; if (t < 1) t = 1; bfmt(&b, "{\"count\":%ld,\"max_model_len\":131072,\"tokens\":[", t); for (long i = 0; i < t; i++) bfmt(&b, i ? ",%ld" : "%ld", 1000 + (i * 37) % 30000); bfmt(&b, "]}"); }
  else if (!strncmp(path, "/health", 7) || !strcmp(path, "/ping")) { C.other++; if (S.health_hang) { c->st = ST_HANG; return 0; } reply(L, c, S.health_status, "text/plain", "", 0); return finish(L, c); }
  else if (!strncmp(path, "/v1/models", 10)) { C.other++; bfmt(&b, "{\"object\":\"list\",\"data\":[{\"id\":\"%s\",\"object\":\"model\",\"created\":1763850000,\"owned_by\":\"vllm\",\"root\":\"%s\",\"parent\":null,\"max_model_len\":131072}]}", S.model, S.model); }
  else if (!strncmp(path, "/version", 8)) { C.other++; bfmt(&b, "{\"version\":\"0.33.0\"}"); }
  else if (!strncmp(path, "/get_model_info", 15) || !strncmp(path, "/model_info", 11)) { C.other++; bfmt(&b, "{\"is_generation\":true}"); }
  else if (!strncmp(path, "/get_server_info", 16) || !strncmp(path, "/server_info", 12)) { C.other++; bfmt(&b, "{\"served_model_name\":\"%s\",\"tp_size\":1,\"dp_size\":1,\"version\":\"0.5.5\"}", S.model); }
  else if (!strncmp(path, "/get_load", 9)) { C.other++; bfmt(&b, "[{\"dp_rank\":0,\"num_reqs\":%lu,\"num_waiting_reqs\":0,\"num_tokens\":0}]", (unsigned long)C.active_stream); }
  else if (!strncmp(path, "/metrics", 8)) { C.other++; bfmt(&b, "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{model_name=\"%s\"} %lu\n# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{model_name=\"%s\"} 0\n# TYPE vllm:kv_cache_usage_perc gauge\nvllm:kv_cache_usage_perc{model_name=\"%s\"} 0.01\n", S.model, (unsigned long)C.active_stream, S.model, S.model); reply(L, c, 200, "text/plain; version=0.0.4", b.p, b.n); free(b.p); return finish(L, c); }
  else if (!strncmp(path, "/stats", 6)) stats(&b);
  else if (!strncmp(path, "/admin", 6)) { char q[512]; const char *s = strchr(path, '?'); snprintf(q, sizeof q, "%s", s ? s + 1 : ""); int ok = 0; char *sv = NULL; for (char *t = strtok_r(q, "&", &sv); t; t = strtok_r(NULL, "&", &sv)) { char *e = strchr(t, '='); if (e) { *e = 0; ok += set_opt(t, e + 1); } } bfmt(&b, "{\"set\":%d}", ok); }
  else { C.other++; bfmt(&b, "{\"detail\":\"Not Found\"}"); reply(L, c, 404, "application/json", b.p, b.n); free(b.p); return finish(L, c); }
  reply(L, c, 200, "application/json", b.p, b.n); free(b.p); return finish(L, c);
}

static const char *hfind(const char *h, size_t n, const char *name) { size_t l = strlen(name); const char *p = h, *e = h + n; while (p < e) { const char *q = memchr(p, '\n', e - p); if (!q) break; if ((size_t)(q - p) > l && p[l] == ':' && !strncasecmp(p, name, l)) { p += l + 1; while (*p == ' ') p++; return p; } p = q + 1; } return NULL; }

static int process_in(loop *L, conn *c) {
  while (c->st == ST_READ && c->in.n) {
    if (!c->hdr_end) {
      char *e = memmem(c->in.p, c->in.n, "\r\n\r\n", 4); if (!e) return 0;
      c->hdr_end = e - c->in.p + 4; const char *v;
      c->clen = (v = hfind(c->in.p, c->hdr_end, "content-length")) ? atol(v) : 0;
      c->chunked = (v = hfind(c->in.p, c->hdr_end, "transfer-encoding")) && !strncasecmp(v, "chunked", 7);
      c->keep = !((v = hfind(c->in.p, c->hdr_end, "connection")) && !strncasecmp(v, "close", 5));
      c->xrid[0] = 0; if ((v = hfind(c->in.p, c->hdr_end, "x-request-id"))) { int k = 0; while (*v != '\r' && k < 95) c->xrid[k++] = *v++; c->xrid[k] = 0; }
      if ((v = hfind(c->in.p, c->hdr_end, "expect")) && !strncasecmp(v, "100", 3)) { badd(&c->out, "HTTP/1.1 100 Continue\r\n\r\n", 25); if (flush_out(L, c) < 0) return -1; }
    }
    size_t used; char *body = NULL; size_t bn = 0; char *tmp = NULL;
    if (c->chunked) { // decode (rare: only some proxies re-send bodies chunked)
      size_t p = c->hdr_end; buf d = { 0 }; int done = 0;
      for (;;) { char *q = memmem(c->in.p + p, c->in.n - p, "\r\n", 2); if (!q) break; long k = strtol(c->in.p + p, NULL, 16); size_t s = q - c->in.p + 2; if (k == 0) { if (s + 2 <= c->in.n) { done = 1; used = s + 2; } break; } if (s + k + 2 > c->in.n) break; badd(&d, c->in.p + s, k); p = s + k + 2; }
      if (!done) { free(d.p); return 0; } tmp = body = d.p; bn = d.n;
    } else { if (c->in.n < c->hdr_end + c->clen) return 0; body = c->in.p + c->hdr_end; bn = c->clen; used = c->hdr_end + c->clen; }
    char m[16] = "", path[1024] = ""; sscanf(c->in.p, "%15s %1023s", m, path);
    if (!body) body = "";
    // keep the body readable (NUL-guard is not needed: memmem with lengths), consume after handling
    char save = 0; (void)save;
    buf cur = c->in; c->in = (buf){ 0 }; size_t rest = cur.n - used; if (rest) badd(&c->in, cur.p + used, rest);
    c->hdr_end = 0; int r = handle(L, c, m, path, body, bn); free(tmp); if (cur.cap <= 65536 && c->st != ST_CLOSE && !c->in.p) { c->in = cur; c->in.n = 0; } else free(cur.p);
    if (r < 0) return -1;
  }
  return 0;
}

static int on_read(loop *L, conn *c) {
  for (;;) {
    bres(&c->in, 65536); ssize_t k = recv(c->fd, c->in.p + c->in.n, c->in.cap - c->in.n, 0);
    if (k > 0) { c->in.n += k; if (c->st == ST_READ) { if (c->hdr_end && !c->chunked && c->in.n < c->hdr_end + c->clen) continue; if (process_in(L, c) < 0) return -1; } if (k < 65536) return 0; continue; }
    if (k == 0) { cclose(L, c, 1); return -1; }
    if (errno == EAGAIN || errno == EINTR) return 0;
    cclose(L, c, 1); return -1;
  }
}

static void *run(void *arg) {
  loop *L = arg; L->ep = epoll_create1(0); L->rng = 88172645463325252ull ^ (now_ns() + L->tid * 7919);
  L->lfd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); int one = 1; setsockopt(L->lfd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one); if (S.threads > 1) setsockopt(L->lfd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(S.port) }; inet_pton(AF_INET, S.host, &a.sin_addr);
  if (bind(L->lfd, (void *)&a, sizeof a) || listen(L->lfd, 4096)) { perror("bind/listen"); exit(1); }
  struct epoll_event le = { .events = EPOLLIN, .data.ptr = NULL }; epoll_ctl(L->ep, EPOLL_CTL_ADD, L->lfd, &le);
  struct epoll_event ev[1024];
  for (;;) {
    struct timespec to, *tp = NULL; u64 t = now_ns();
    if (L->hn) { u64 d = L->h[0]->due > t ? L->h[0]->due - t : 0; to.tv_sec = d / 1000000000ull; to.tv_nsec = d % 1000000000ull; tp = &to; }
    int n = epoll_pwait2(L->ep, ev, 1024, tp, NULL);
    for (int i = 0; i < n; i++) {
      conn *c = ev[i].data.ptr;
      if (!c) { for (int k = 0; k < 256; k++) { int fd = accept4(L->lfd, NULL, NULL, SOCK_NONBLOCK); if (fd < 0) break; setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); c = calloc(1, sizeof *c); c->fd = fd; c->heap = -1; c->ev = EPOLLIN | EPOLLRDHUP; struct epoll_event e = { .events = c->ev, .data.ptr = c }; epoll_ctl(L->ep, EPOLL_CTL_ADD, fd, &e); C.conns++; C.open++; } continue; }
      if (c->st == ST_CLOSE) continue;
      if (ev[i].events & (EPOLLERR | EPOLLHUP)) { cclose(L, c, 1); continue; }
      if (ev[i].events & EPOLLIN) if (on_read(L, c) < 0) continue;
      if (c->st != ST_CLOSE && (ev[i].events & EPOLLRDHUP)) { cclose(L, c, 1); continue; }
      if (c->st != ST_CLOSE && (ev[i].events & EPOLLOUT)) { if (flush_out(L, c) < 0) continue; if (c->outoff >= c->out.n) { if (c->st == ST_STREAM && c->heap < 0) hadd(L, c, now_ns()); else if (c->st == ST_READ && !c->keep) cclose(L, c, 0); } }
    }
    t = now_ns(); int guard = L->hn; // each due stream once per turn: fair
    while (L->hn && L->h[0]->due <= t && guard-- > 0) { conn *c = L->h[0]; if (c->st == ST_WAIT_PREFILL) { hdel(L, c); c->st = ST_READ; answer(L, c); } else if (c->st == ST_STREAM) pump(L, c); else hdel(L, c); }
    for (int i = 0; i < L->ndead; i++) { conn *c = L->dead[i]; free(c->in.p); free(c->out.p); free(c); } L->ndead = 0;
  }
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  for (int i = 1; i < argc; i++) { if (strncmp(argv[i], "--", 2) || i + 1 >= argc || !set_opt(argv[i] + 2, argv[i + 1])) { fprintf(stderr, "bad option %s (see the top of mock_engine.c)\n", argv[i]); return 2; } i++; }
  padn = 1 << 20; pad = malloc(padn); memset(pad, 'x', padn);
  nq = calloc(nq_cap, sizeof *nq); if (S.zmq_push[0] || S.notify_http[0]) { pthread_t t; pthread_create(&t, NULL, note_thread, NULL); }
  loop *L = calloc(S.threads, sizeof *L); pthread_t th[64]; for (int i = 0; i < S.threads; i++) L[i].tid = i;
  fprintf(stderr, "mock engine on %s:%d\n", S.host, S.port);
  for (int i = 1; i < S.threads; i++) pthread_create(&th[i], NULL, run, &L[i]);
  run(&L[0]); return 0;
}
