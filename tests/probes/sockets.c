/* Reaching a service of the host: by socket files, abstract names, addresses and odd families. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "probe.h"

/* "@name" is abstract. */
static socklen_t unix_address(struct sockaddr_un* address, const char* name) {
  const size_t length = strlen(name);
  if (length >= sizeof address->sun_path) broken("name too long");
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, name, length);
  if (name[0] == '@') address->sun_path[0] = '\0';
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (name[0] != '@'));
}

static long unix_stream(char** argument) {
  struct sockaddr_un address;
  const socklen_t size = unix_address(&address, argument[0]);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) broken("socket");
  return connect(fd, (struct sockaddr*)&address, size);
}

static long unix_datagram(char** argument) {
  struct sockaddr_un address;
  const socklen_t size = unix_address(&address, argument[0]);
  int pair[2]; /* a socketpair can send elsewhere too */
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0) broken("socketpair");
  return sendto(pair[0], "x", 1, 0, (struct sockaddr*)&address, size);
}

/* ADDRESS is IPv4 or IPv6. */
static socklen_t internet_address(struct sockaddr_storage* storage, char** argument) {
  struct sockaddr_in* v4 = (struct sockaddr_in*)storage;
  struct sockaddr_in6* v6 = (struct sockaddr_in6*)storage;
  memset(storage, 0, sizeof *storage);
  const uint16_t port = htons((uint16_t)number(argument[1]));
  if (inet_pton(AF_INET, argument[0], &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = port;
    return sizeof *v4;
  }
  if (inet_pton(AF_INET6, argument[0], &v6->sin6_addr) != 1) broken("not an address");
  v6->sin6_family = AF_INET6;
  v6->sin6_port = port;
  return sizeof *v6;
}

static int internet_socket(int family, int type) {
  const struct timeval limit = {.tv_sec = 2};
  const int fd = socket(family, type | SOCK_CLOEXEC, 0);
  if (fd < 0) broken("socket");
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  return fd;
}

static long tcp(char** argument) {
  struct sockaddr_storage address;
  const socklen_t size = internet_address(&address, argument);
  return connect(internet_socket(address.ss_family, SOCK_STREAM), (struct sockaddr*)&address, size);
}

/* Asks and waits for an answer, as a DNS client does. */
static long udp(char** argument) {
  struct sockaddr_storage address;
  char answer[16];
  const socklen_t size = internet_address(&address, argument);
  const int fd = internet_socket(address.ss_family, SOCK_DGRAM);
  if (connect(fd, (struct sockaddr*)&address, size) != 0 || send(fd, "ask", 3, 0) != 3) return -1;
  return recv(fd, answer, sizeof answer, 0);
}

static long family(char** argument) {
  return socket((int)number(argument[0]), (int)number(argument[1]) | SOCK_CLOEXEC, (int)number(argument[2]));
}

/* The family again, with a bit that the kernel throws away. */
static long family_high(char** argument) {
  return syscall(SYS_socket, 1L << 32 | number(argument[0]), number(argument[1]), number(argument[2]));
}

/* Whoever closes it last then waits so long. */
static long linger_on(char** argument) {
  const struct linger wait = {.l_onoff = 1, .l_linger = 3600};
  (void)argument;
  return setsockopt(internet_socket(AF_INET, SOCK_STREAM), SOL_SOCKET, SO_LINGER, &wait, sizeof wait);
}

const struct probe socket_probes[] = {{"unix-stream", "NAME", 1, unix_stream},
                                      {"unix-datagram", "NAME", 1, unix_datagram},
                                      {"tcp", "ADDRESS PORT", 2, tcp},
                                      {"udp", "ADDRESS PORT", 2, udp},
                                      {"socket", "FAMILY TYPE PROTOCOL", 3, family},
                                      {"linger", "", 0, linger_on},
                                      {"socket-high", "FAMILY TYPE PROTOCOL", 3, family_high},
                                      {0}};
