#include "agentbox/base/diff.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "apply_diff.hpp"

using namespace agentbox;
using base::Diff;
using base::unified_diff;

namespace {

std::string numbered(int from, int to) {
  std::string text;
  for (int i = from; i <= to; ++i) text += std::to_string(i) + "\n";
  return text;
}

// The fewest added and removed lines, by the textbook.
std::size_t fewest(const std::vector<char>& before, const std::vector<char>& after) {
  std::vector<std::vector<std::size_t>> table(before.size() + 1, std::vector<std::size_t>(after.size() + 1));
  for (std::size_t i = 0; i <= before.size(); ++i) {
    for (std::size_t k = 0; k <= after.size(); ++k) {
      if (i == 0 || k == 0) {
        table[i][k] = i + k;
      } else {
        table[i][k] =
            before[i - 1] == after[k - 1] ? table[i - 1][k - 1] : 1 + std::min(table[i - 1][k], table[i][k - 1]);
      }
    }
  }
  return table.back().back();
}

std::string in_lines(const std::vector<char>& letters) {
  std::string text;
  for (char letter : letters) text += std::string(1, letter) + "\n";
  return text;
}

}  // namespace

TEST_CASE("equal texts have no difference") {
  CHECK(unified_diff("", "").kind == Diff::Kind::same);
  CHECK(unified_diff("a\nb", "a\nb").kind == Diff::Kind::same);
}

TEST_CASE("a changed line is shown with three lines around it, as diff(1) does") {
  Diff diff = unified_diff(numbered(1, 10), numbered(1, 4) + "five\n" + numbered(6, 10));
  CHECK(diff.kind == Diff::Kind::text);
  CHECK(diff.text == "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
  CHECK(diff.added == 1);
  CHECK(diff.removed == 1);
}

TEST_CASE("a new file is all added, a removed one all removed") {
  CHECK(unified_diff("", "a\nb\n").text == "@@ -0,0 +1,2 @@\n+a\n+b\n");
  CHECK(unified_diff("a\n", "").text == "@@ -1 +0,0 @@\n-a\n");
}

TEST_CASE("a missing newline at the end is a difference, and is said") {
  CHECK(unified_diff("a\nb", "a\nb\n").text == "@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+b\n");
  CHECK(unified_diff("x\na", "y\na").text == "@@ -1,2 +1,2 @@\n-x\n+y\n a\n\\ No newline at end of file\n");
}

TEST_CASE("changes that are near share a hunk, changes that are far have one each") {
  std::string before = numbered(1, 30);
  std::string near = "0\n" + numbered(1, 6) + "6.5\n" + numbered(7, 30);
  CHECK(unified_diff(before, near).text == "@@ -1,9 +1,11 @@\n+0\n 1\n 2\n 3\n 4\n 5\n 6\n+6.5\n 7\n 8\n 9\n");
  std::string far = "0\n" + numbered(1, 7) + "7.5\n" + numbered(8, 30);
  CHECK(unified_diff(before, far).text ==
        "@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n@@ -5,6 +6,7 @@\n 5\n 6\n 7\n+7.5\n 8\n 9\n 10\n");
}

TEST_CASE("what looks like a diff in the text has a mark before it like every line") {
  Diff diff = unified_diff("@@ -1 +1 @@\n", "@@ -1 +1 @@\n+x\n-y\n\\ No newline at end of file\n");
  CHECK(diff.text == "@@ -1 +1,4 @@\n @@ -1 +1 @@\n++x\n+-y\n+\\ No newline at end of file\n");
}

TEST_CASE("a NUL byte makes it binary") {
  CHECK(unified_diff("a\n", std::string("a\0b\n", 4)).kind == Diff::Kind::binary);
  CHECK(unified_diff(std::string("\0", 1), "").kind == Diff::Kind::binary);
}

TEST_CASE("more than may be shown is counted and not shown") {
  Diff diff = unified_diff("", numbered(1, 1000), {.shown = 100});
  CHECK(diff.kind == Diff::Kind::too_long);
  CHECK(diff.text.empty());
  CHECK(diff.added == 1000);
  CHECK(unified_diff("", numbered(1, 10), {.shown = 100}).kind == Diff::Kind::text);
}

TEST_CASE("of random texts the difference is the shortest, and leads from one to the other") {
  std::mt19937 random(20251);
  for (int round = 0; round < 3000; ++round) {
    std::vector<char> texts[2];
    for (std::vector<char>& letters : texts) {
      letters.resize(random() % 14);
      for (char& letter : letters) letter = static_cast<char>('a' + random() % 4);
    }
    std::string before = in_lines(texts[0]), after = in_lines(texts[1]);
    if (random() % 3 == 0 && !after.empty()) after.pop_back();
    Diff diff = unified_diff(before, after, {.context = random() % 4});
    CAPTURE(before, after, diff.text);
    CHECK(test::apply_diff(before, diff.text) == after);
    if (after.empty() || after.ends_with('\n')) CHECK(diff.added + diff.removed == fewest(texts[0], texts[1]));
  }
}

TEST_CASE("where the shortest would take too long another one is given, and it is exact") {
  std::string before, after;
  for (int i = 0; i < 20'000; ++i) {
    before += std::to_string(i * 7 % 4001) + "\n";
    after += std::to_string(i * 11 % 4003) + "\n";
  }
  Diff diff = unified_diff("same\n" + before, "same\n" + after);
  CHECK(diff.kind == Diff::Kind::text);
  CHECK(test::apply_diff("same\n" + before, diff.text) == "same\n" + after);
  // A million equal lines, and one more: the search alone would be quadratic.
  std::string empty(1'000'000, '\n');
  Diff many = unified_diff("x\n" + empty, empty + "y\n" + empty, {.shown = 16 << 20});
  CHECK(many.kind == Diff::Kind::text);
  CHECK(test::apply_diff("x\n" + empty, many.text) == empty + "y\n" + empty);
}
