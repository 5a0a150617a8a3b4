#include "public_suffix.hpp"

#include <dlfcn.h>

namespace agentbox::gates::network {

namespace {

// libpsl's own declarations (libpsl.h): stable since version 0.1.
#ifndef AGENTBOX_PSL_LIBRARY
#define AGENTBOX_PSL_LIBRARY "libpsl.so.5"
#endif

struct List {
  using Builtin = const void* (*)();
  using Registrable = const char* (*)(const void*, const char*);
  const void* table = nullptr;
  Registrable registrable = nullptr;
};

List load() {
  // Never unloaded: the table is used for as long as the process lives.
  void* library = ::dlopen(AGENTBOX_PSL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return {};
  auto builtin = reinterpret_cast<List::Builtin>(::dlsym(library, "psl_builtin"));
  auto registrable = reinterpret_cast<List::Registrable>(::dlsym(library, "psl_registrable_domain"));
  if (builtin == nullptr || registrable == nullptr) return {};
  return {builtin(), registrable};
}

}  // namespace

std::optional<std::string> registrable_domain(const std::string& name) {
  static const List list = load();
  if (list.table == nullptr) return std::nullopt;
  const char* domain = list.registrable(list.table, name.c_str());
  if (domain == nullptr) return std::nullopt;
  return std::string(domain);
}

}  // namespace agentbox::gates::network
