#include "library.hpp"

#include <catch2/catch.hpp>

#include "agentbox/store/store.hpp"

using namespace agentbox::store;

TEST_CASE("a machine without SQLite gets an error that says so") {
  // Each time: what is not there now may be installed in a moment.
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      (void)library();
      FAIL("loaded");
    } catch (const StoreError& error) {
      CHECK(error.kind() == StoreError::Kind::failed);
      CHECK(error.what() == std::string("cannot load SQLite: libagentbox-no-such.so.7: cannot open shared object file: "
                                        "No such file or directory"));
      CHECK(error.hint() == "agentbox keeps its record with SQLite 3.37 or newer (libsqlite3-0 on Debian)");
    }
  }
}
