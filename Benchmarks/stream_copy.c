// A plain C yardstick for KV transfers over sockets: STREAMS connections at once, each moving BYTES / STREAMS from one
// buffer into another, with nothing but send and recv.
//
//   gcc -O2 -pthread Benchmarks/stream_copy.c -o stream_copy
//   ./stream_copy tcp|unix STREAMS BYTES [REPETITIONS]
//
// Prints the median, least and greatest rate in GB/s (10^9 bytes) as JSON.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct stream {
  int sender, receiver;
  char *source, *target;
  size_t bytes;
};

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

static void *send_all(void *argument) {
  struct stream *stream = argument;
  for (size_t done = 0; done < stream->bytes;) {
    ssize_t sent = send(stream->sender, stream->source + done, stream->bytes - done, 0);
    if (sent < 0 && errno != EINTR) die("send");
    if (sent > 0) done += sent;
  }
  return NULL;
}

// One byte back says that all has arrived, as a handoff's acknowledgement does.
static void *receive_all(void *argument) {
  struct stream *stream = argument;
  for (size_t done = 0; done < stream->bytes;) {
    ssize_t received = recv(stream->receiver, stream->target + done, stream->bytes - done, 0);
    if (received == 0 || (received < 0 && errno != EINTR)) die("recv");
    if (received > 0) done += received;
  }
  if (send(stream->receiver, "", 1, 0) != 1) die("send");
  return NULL;
}

static void connect_tcp(int pair[2]) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 1)) die("listen");
  getsockname(listener, (struct sockaddr *)&address, &length);
  pair[0] = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(pair[0], (struct sockaddr *)&address, length)) die("connect");
  pair[1] = accept(listener, NULL, NULL);
  for (int i = 0; i < 2; i++) setsockopt(pair[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  close(listener);
}

// Memory as a KV pool has it: a file that another process could map.
static char *pool(size_t bytes) {
  int file = memfd_create("pool", 0);
  if (file < 0 || ftruncate(file, bytes)) die("memfd");
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) die("mmap");
  memset(memory, 1, bytes);
  return memory;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int count, char **arguments) {
  if (count < 4) return fprintf(stderr, "usage: stream_copy tcp|unix STREAMS BYTES [REPETITIONS]\n"), 2;
  int is_unix = !strcmp(arguments[1], "unix"), streams = atoi(arguments[2]);
  size_t bytes = strtoull(arguments[3], NULL, 10);
  int repetitions = count > 4 ? atoi(arguments[4]) : 9;
  if (streams < 1 || streams > 64 || repetitions < 1 || repetitions > 10000 || bytes < (size_t)streams) return 2;
  char *source = pool(bytes), *target = pool(bytes);
  struct stream all[64];
  for (int i = 0; i < streams; i++) {
    int pair[2];
    if (!is_unix) connect_tcp(pair);
    else if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) die("socketpair");
    size_t part = bytes / streams;
    all[i] = (struct stream){pair[0], pair[1], source + i * part, target + i * part, part};
  }
  double *rates = calloc(repetitions, sizeof *rates);
  for (int round = -1; round < repetitions; round++) {
    pthread_t threads[128];
    double start = now();
    for (int i = 0; i < streams; i++) {
      pthread_create(&threads[2 * i], NULL, send_all, &all[i]);
      pthread_create(&threads[2 * i + 1], NULL, receive_all, &all[i]);
    }
    for (int i = 0; i < 2 * streams; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < streams; i++)
      if (recv(all[i].sender, &(char){0}, 1, 0) != 1) die("recv");
    if (round >= 0) rates[round] = bytes / (now() - start) / 1e9;
  }
  qsort(rates, repetitions, sizeof *rates, ascending);
  printf(
      "{\"transport\": \"%s\", \"streams\": %d, \"bytes\": %zu, \"gigabytes_per_second\": "
      "{\"median\": %.3f, \"min\": %.3f, \"max\": %.3f}}\n",
      arguments[1], streams, bytes, rates[repetitions / 2], rates[0], rates[repetitions - 1]);
  return 0;
}
