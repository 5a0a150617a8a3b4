// The fuzz target's invariants, on its corpus and on the recordings, in every build.

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <catch2/catch.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

TEST_CASE("the invariants of the terminal filter hold for the whole corpus") {
  int files = 0;
  for (const char* folder : {CORPUS_FOLDER, GOLDEN_FOLDER}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), {}};
      INFO(entry.path());
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());  // aborts
      ++files;
    }
  }
  CHECK(files > 10);
}
