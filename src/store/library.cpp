#include "library.hpp"

#include <string>

#include <dlfcn.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/store/store.hpp"

namespace agentbox::store {

namespace {

constexpr const char* file = AGENTBOX_SQLITE_LIBRARY;

[[noreturn]] void refuse(const std::string& why) {
  throw StoreError(StoreError::Kind::failed, "cannot load SQLite: " + base::escape(why),
                   "agentbox keeps its record with SQLite 3.37 or newer (libsqlite3-0 on Debian)");
}

void* symbol(void* handle, const char* name) {
  void* address = ::dlsym(handle, name);
  if (address == nullptr) refuse(std::string(file) + " has no " + name);
  return address;
}

Library load() {
  // Never unloaded: whoever opened the record once will do so again.
  void* handle = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = ::dlerror();  // NOLINT(concurrency-mt-unsafe): of this thread
    refuse(why == nullptr ? "no reason given" : why);
  }
  Library functions;
#define AGENTBOX_SQLITE(name) \
  functions.name = reinterpret_cast<decltype(functions.name)>(symbol(handle, "sqlite3_" #name));
#include "library_functions.inc"
#undef AGENTBOX_SQLITE
  // STRICT tables.
  if (functions.libversion_number() < 3037000) refuse(std::string(file) + " is version " + functions.libversion());
  return functions;
}

}  // namespace

const Library& library() {
  static const Library loaded = load();
  return loaded;
}

}  // namespace agentbox::store
