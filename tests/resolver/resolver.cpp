// A name server for the tests: loaded with LD_PRELOAD into agentbox, it answers getaddrinfo(3) from the file
// AGENTBOX_TEST_HOSTS ("ADDRESS NAME" a line, read anew each time), and writes each name that it was asked for to
// AGENTBOX_TEST_ASKED. Addresses go to the real one. With AGENTBOX_TEST_NO_NFTABLES the machine has no libnftables.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>

extern "C" void* dlopen(const char* name, int flags) {
  using Function = void* (*)(const char*, int);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "dlopen"));
  const bool hidden = name != nullptr && std::strstr(name, "libnftables") != nullptr;
  return real(hidden && std::getenv("AGENTBOX_TEST_NO_NFTABLES") != nullptr ? "/missing/libnftables.so.1" : name,
              flags);
}

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<Function>(dlsym(RTLD_NEXT, "getaddrinfo"));
  const char* hosts = std::getenv("AGENTBOX_TEST_HOSTS");
  unsigned char address[16];
  if (hosts == nullptr || node == nullptr || inet_pton(AF_INET, node, address) == 1 ||
      inet_pton(AF_INET6, node, address) == 1) {
    return real(node, service, hints, result);
  }
  std::string name = node;
  if (!name.empty() && name.back() == '.') name.pop_back();
  if (const char* asked = std::getenv("AGENTBOX_TEST_ASKED")) std::ofstream(asked, std::ios::app) << name << '\n';
  std::ifstream file(hosts);
  addrinfo* first = nullptr;
  addrinfo** last = &first;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string numbers, known;
    words >> numbers >> known;
    if (known != name) continue;
    addrinfo numeric = *hints;
    numeric.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    if (real(numbers.c_str(), service, &numeric, last) != 0) return EAI_FAIL;
    while (*last != nullptr) last = &(*last)->ai_next;
  }
  *result = first;
  return first == nullptr ? EAI_NONAME : 0;
}
