// A record of a run as a damaged disk may hold it: what is read must be a record, and be written as what was read.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "record.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace agentbox::launch;
  std::optional<Record> record = record_of_json({reinterpret_cast<const char*>(data), size});
  if (record && record_of_json(to_json(*record)) != record) __builtin_trap();
  return 0;
}
