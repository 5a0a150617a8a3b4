// The fuzz target's invariants on its corpus, in every build.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <catch2/catch.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

TEST_CASE("the invariants of the question page hold for the whole corpus") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(CORPUS_FOLDER)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    INFO(entry.path());
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());  // aborts
    ++files;
  }
  CHECK(files > 5);
}
