/* plain HOST PORT PATH: fetches one page over HTTP/1.0 and prints what comes. As a Go program would: static, with a
   resolver of its own that reads /etc/resolv.conf, and without a thought for proxy variables. */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int fail(const char* what) {
  perror(what);
  exit(1);
}

static struct in_addr name_server(void) {
  struct in_addr address = {.s_addr = htonl(INADDR_LOOPBACK)};
  char line[256], text[64];
  FILE* file = fopen("/etc/resolv.conf", "r");
  if (file == NULL) return address;
  while (fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "nameserver %63s", text) == 1 && inet_pton(AF_INET, text, &address) == 1) break;
  }
  fclose(file);
  return address;
}

static size_t put_name(unsigned char* at, const char* name) {
  unsigned char* const begin = at;
  while (*name != '\0') {
    const size_t label = strcspn(name, ".");
    *at++ = (unsigned char)label;
    memcpy(at, name, label);
    at += label;
    name += label + (name[label] == '.');
  }
  *at++ = 0;
  return (size_t)(at - begin);
}

static struct in_addr resolve(const char* name) {
  static const unsigned char header[12] = {0x12, 0x34, 1, 0, 0, 1};
  static const unsigned char a_in[4] = {0, 1, 0, 1};
  const struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr = name_server()};
  const struct timeval limit = {.tv_sec = 5};
  unsigned char query[512], answer[512];
  struct in_addr address;
  if (strlen(name) > 200) exit(2);
  memcpy(query, header, sizeof header);
  size_t size = sizeof header + put_name(query + sizeof header, name);
  memcpy(query + size, a_in, sizeof a_in);
  size += sizeof a_in;
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(fd, (const struct sockaddr*)&server, sizeof server) != 0 || send(fd, query, size, 0) < 0) fail("ask");
  const ssize_t count = recv(fd, answer, sizeof answer, 0);
  close(fd);
  if (count < 0) fail("resolve");
  if ((answer[3] & 15) != 0 || answer[7] == 0 || count < (ssize_t)size + 16) {
    fprintf(stderr, "resolve: no such host\n");
    exit(1);
  }
  memcpy(&address, answer + size + 12, sizeof address); /* the first answer: name as a pointer, type, class, life, size */
  return address;
}

int main(int count, char** words) {
  char text[4096];
  if (count != 4) return 2;
  const struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[2])), .sin_addr = resolve(words[1])};
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (const struct sockaddr*)&to, sizeof to) != 0) fail("connect");
  const int size = snprintf(text, sizeof text, "GET %s HTTP/1.0\r\nHost: %s:%s\r\n\r\n", words[3], words[1], words[2]);
  if (write(fd, text, (size_t)size) != size) fail("write");
  for (ssize_t got; (got = read(fd, text, sizeof text)) != 0;) {
    if (got < 0) fail("read");
    fwrite(text, 1, (size_t)got, stdout);
  }
  return 0;
}
