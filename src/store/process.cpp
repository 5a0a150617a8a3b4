#include "agentbox/store/process.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace agentbox::store {

namespace {

std::string content_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t begin = text.find_first_not_of(" \n");
    if (begin == std::string_view::npos) return words;
    const std::size_t end = std::min(text.find_first_of(" \n", begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    text.remove_prefix(end);
  }
}

std::string boot() {
  const std::string text = content_of("/proc/sys/kernel/random/boot_id");
  return text.substr(0, text.find('\n'));
}

std::string pid_namespace() {
  struct stat info{};
  return ::stat("/proc/self/ns/pid", &info) == 0 ? std::to_string(info.st_ino) : std::string();
}

// Its own name may hold blanks and parentheses; what counts stands behind the last one. A zombie runs no more.
std::optional<std::string> start_of(const std::string& pid) {
  const std::string stat = content_of("/proc/" + pid + "/stat");
  const std::size_t name = stat.rfind(')');
  if (name == std::string::npos) return std::nullopt;
  const std::vector<std::string_view> words = words_of(std::string_view(stat).substr(name + 1));
  constexpr std::size_t start = 22 - 3;  // field 3, the state, is the first of these
  if (words.size() <= start || words[0] == "Z" || words[0] == "X") return std::nullopt;
  return std::string(words[start]);
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::string this_process() {
  const std::string pid = std::to_string(::getpid());
  const std::optional<std::string> start = start_of(pid);
  const std::string machine = boot(), space = pid_namespace();
  if (!start || machine.empty() || space.empty()) return {};
  return fmt::format("{} {} {} {}", machine, space, pid, *start);
}

Running is_running(std::string_view process) {
  const std::vector<std::string_view> words = words_of(process);
  if (words.size() != 4 || !std::all_of(words.begin() + 1, words.end(), is_number)) return Running::unknown;
  const std::string machine = boot();
  if (machine.empty()) return Running::unknown;
  if (words[0] != machine) return Running::no;
  if (words[1] != pid_namespace()) return Running::unknown;
  return start_of(std::string(words[2])) == words[3] ? Running::yes : Running::no;
}

}  // namespace agentbox::store
