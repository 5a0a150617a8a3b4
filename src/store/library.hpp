#pragma once

#include <sqlite3.h>

namespace agentbox::store {

// The functions of SQLite that we call. The library is loaded when the record is first opened: linked, it would cost
// every start of `agentbox` 0.25 ms, also of a room that never asks for anything.
struct Library {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a member's name
#define AGENTBOX_SQLITE(name) decltype(&::sqlite3_##name) name = nullptr;
#include "library_functions.inc"
#undef AGENTBOX_SQLITE
};

// Throws StoreError when there is no such library, or one that is too old.
[[nodiscard]] const Library& library();

}  // namespace agentbox::store
