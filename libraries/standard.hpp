#ifndef AGENTBOX_PRECOMPILED_STANDARD
#define AGENTBOX_PRECOMPILED_STANDARD

// Compiled once for a room, instead of once for each of its files, where b_pch is on: what most of them include. Each file
// still names all that it needs, and builds with b_pch off. No #pragma once: compilers warn of it in what is precompiled.

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#endif
