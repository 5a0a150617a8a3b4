// Catch2's main, and a reporter that prints one TAP line per test *case* (Catch2's own prints one per
// assertion), so that meson and tests/count.py count what a reader calls a test. Run it as `test_base -r
// tap`.

#define CATCH_CONFIG_MAIN
#include <sstream>
#include <string>

#include <catch2/catch.hpp>

namespace {

// A test's output must not be able to add or change a TAP line: every line of it becomes a comment, and a '#'
// in a name would begin a directive such as "# SKIP".
std::string comment(const std::string& text) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out += "# " + line + '\n';
  return out;
}

std::string title(std::string text) {
  for (char& c : text) {
    if (c == '#' || c == '\n') c = ' ';
  }
  return text;
}

class TapReporter : public Catch::StreamingReporterBase<TapReporter> {
 public:
  using StreamingReporterBase::StreamingReporterBase;

  static std::string getDescription() { return "one TAP line per test case"; }

  void noMatchingTestCases(const std::string& spec) override {
    stream << "# no test case matches '" << title(spec) << "'\n";
  }

  void assertionStarting(const Catch::AssertionInfo& /*info*/) override {}

  bool assertionEnded(const Catch::AssertionStats& stats) override {
    const Catch::AssertionResult& result = stats.assertionResult;
    if (result.isOk()) return true;
    std::ostringstream text;
    text << result.getSourceInfo() << ": " << result.getExpressionInMacro() << '\n';
    if (result.hasExpandedExpression()) text << "  was: " << result.getExpandedExpression() << '\n';
    if (result.hasMessage()) text << "  " << result.getMessage() << '\n';
    for (const Catch::MessageInfo& info : stats.infoMessages) text << "  with: " << info.message << '\n';
    failures_ += text.str();
    return true;
  }

  void testCaseEnded(const Catch::TestCaseStats& stats) override {
    const bool passed = stats.totals.assertions.allOk() || stats.totals.testCases.failedButOk > 0;
    stream << (passed ? "ok " : "not ok ") << ++cases_ << " - " << title(stats.testInfo.name) << '\n'
           << comment(failures_);
    stream.flush();
    failures_.clear();
    StreamingReporterBase::testCaseEnded(stats);
  }

  void testRunEnded(const Catch::TestRunStats& stats) override {
    stream << "1.." << cases_ << '\n';
    stream.flush();
    StreamingReporterBase::testRunEnded(stats);
  }

 private:
  std::size_t cases_ = 0;
  std::string failures_;
};

CATCH_REGISTER_REPORTER("tap", TapReporter)

}  // namespace
