// Passes bytes on between clients and one of two servers, and does nothing else: one recv and one send for what is there at
// once. What it costs is what the kernel takes for a relayed chunk, below which no router can come on the same machine.
//
//   gcc -O2 -Wall -o .build/benchmarks/relay Benchmarks/relay.c
//   relay PORT SERVER_PORT SERVER_PORT
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_SOCKETS = 65536, MOST_EVENTS = 512 };
static int peer[MOST_SOCKETS], ep;
static char bytes[65536];

static struct sockaddr_in at(const char *port) {
  return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static void watch(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  epoll_ctl(ep, EPOLL_CTL_ADD, fd, &(struct epoll_event){ .events = EPOLLIN, .data.fd = fd });
}

static void take(int listener, const char *port) {
  struct sockaddr_in server = at(port);
  int client = accept(listener, NULL, NULL), upstream = socket(AF_INET, SOCK_STREAM, 0);
  if (client < 0 || upstream < 0 || client >= MOST_SOCKETS || upstream >= MOST_SOCKETS ||
      connect(upstream, (struct sockaddr *)&server, sizeof server)) { close(client); close(upstream); return; }
  peer[client] = upstream;
  peer[upstream] = client;
  watch(client);
  watch(upstream);
}

static void pass(int fd) {
  if (!peer[fd]) return; // Closed in this turn.
  ssize_t count = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) {
    close(fd);
    close(peer[fd]);
    peer[peer[fd]] = 0;
    peer[fd] = 0;
    return;
  }
  send(peer[fd], bytes, count, MSG_NOSIGNAL);
}

int main(int argc, char **argv) {
  if (argc != 4) { fprintf(stderr, "relay PORT SERVER_PORT SERVER_PORT\n"); return 2; }
  struct sockaddr_in own = at(argv[1]);
  int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, taken = 0;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 1024)) { perror("relay"); return 1; }
  ep = epoll_create1(0);
  watch(listener);
  for (struct epoll_event events[MOST_EVENTS];;) {
    int count = epoll_wait(ep, events, MOST_EVENTS, -1);
    for (int i = 0; i < count; i++) {
      if (events[i].data.fd == listener) take(listener, argv[2 + taken++ % 2]);
      else pass(events[i].data.fd);
    }
  }
}
