// The programs of which agentbox knows every harmless argument. Only for these is "always" offered, so each rule here is
// one that somebody may rely on for years: what is not plainly harmless is not in it.

#include <algorithm>
#include <array>
#include <string_view>

#include "agentbox/profile/parse.hpp"

#include "programs.hpp"

namespace agentbox::policy {

namespace {

using std::string_view_literals::operator""sv;
using Arguments = std::span<const std::string>;

// ---- xdg-open(1): one address of the web. For a file or another scheme it starts whatever is registered ----

// Every byte that RFC 3986 allows but those that shells or browsers' own launchers read as more than text.
bool is_address_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         "-._~:/?#@&+,=%"sv.find(c) != std::string_view::npos;
}

// "https://example.org" of "https://example.org/a?b"; empty unless it is a plain address of the web.
std::string_view web_origin(std::string_view text) {
  if (text.size() > 2048 || !std::ranges::all_of(text, is_address_byte)) return {};
  std::size_t begin = text.starts_with("https://") ? 8 : text.starts_with("http://") ? 7 : 0;
  if (begin == 0) return {};
  std::size_t end = std::min(text.find_first_of("/?#", begin), text.size());
  std::string_view host = text.substr(begin, end - begin);
  auto is_host_byte = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':';
  };
  if (host.empty() || host.front() == ':' || host.front() == '-' || !std::ranges::all_of(host, is_host_byte)) return {};
  return text.substr(0, end);
}

Knowledge knowledge_of_open(Arguments arguments) {
  if (arguments.size() == 1 && !web_origin(arguments[0]).empty()) return {Trust::harmless, {}};
  bool is_web = arguments.size() == 1 && (arguments[0].starts_with("https://") || arguments[0].starts_with("http://"));
  if (is_web) return {};  // an address with unusual bytes: nothing is known of it
  return {Trust::interpreter, "starts whatever program is registered for its argument"};
}

// ---- notify-send(1): words for the owner. Not actions, hints or pictures: the first answer, the others name files ----

bool is_plain_text(std::string_view text) {
  // '<' begins markup, which can name a picture or a link.
  return std::ranges::none_of(text, [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f || c == '<';
  });
}
bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 9 && text.find_first_not_of("0123456789") == std::string_view::npos;
}
bool is_urgency(std::string_view text) {
  return text == "low" || text == "normal" || text == "critical";
}

struct Option {
  std::string_view brief, name;
  bool (*takes)(std::string_view);  // nothing: a flag
};
constexpr std::array notify_options{Option{"-u", "--urgency", is_urgency}, Option{"-t", "--expire-time", is_number},
                                    Option{"-e", "--transient", nullptr}};

// How many arguments the option at the front takes; 0: it isn't one of ours.
std::size_t notify_option(Arguments arguments) {
  const std::string& first = arguments.front();
  for (const Option& option : notify_options) {
    bool named = first == option.brief || first == option.name;
    if (option.takes == nullptr) {
      if (named) return 1;
      continue;
    }
    if (named) return arguments.size() > 1 && option.takes(arguments[1]) ? 2 : 0;
    bool joined =
        first.starts_with(option.name) && first.size() > option.name.size() && first[option.name.size()] == '=';
    if (joined) return option.takes(std::string_view(first).substr(option.name.size() + 1)) ? 1 : 0;
  }
  return 0;
}

Knowledge knowledge_of_notify(Arguments arguments) {
  std::size_t texts = 0;
  while (!arguments.empty()) {
    std::size_t used = 1;
    if (arguments.front().starts_with('-')) {
      used = notify_option(arguments);
      if (used == 0) return {};
    } else if (!is_plain_text(arguments.front()) || ++texts > 2) {
      return {};
    }
    arguments = arguments.subspan(used);
  }
  return {texts == 0 ? Trust::plain : Trust::harmless, {}};
}

// ---- patterns ----

// Words of a rule; each was harmless to its grammar, so that no quote is among them.
std::string rule_text(Arguments words, std::string_view end) {
  std::string text;
  for (const std::string& word : words) text += "'" + word + "' ";
  return text.append(end);
}

std::optional<std::string> canonical_rule(const std::string& text) {
  base::Result<profile::CommandPattern> pattern = profile::parse_command_pattern(text, {});
  if (!pattern) return std::nullopt;
  return std::move(pattern->text);
}

}  // namespace

std::optional<Knowledge> knowledge_by_grammar(std::string_view name, Arguments arguments) {
  if (name == "git") return knowledge_of_git(arguments);
  if (name == "xdg-open") return knowledge_of_open(arguments);
  if (name == "notify-send") return knowledge_of_notify(arguments);
  return std::nullopt;
}

std::optional<std::string> wider_pattern(const std::vector<std::string>& argv) {
  std::string_view name = std::string_view(argv[0]).substr(argv[0].rfind('/') + 1);
  Arguments words = argv;
  auto has_option = [](const std::string& word) { return word.starts_with('-'); };
  if (argv[0].find('\'') != std::string::npos) return std::nullopt;
  if (name == "xdg-open") {
    std::string_view origin = web_origin(argv.back());
    if (argv.back().size() <= origin.size() || argv.back()[origin.size()] != '/') return std::nullopt;
    return canonical_rule(rule_text(words.first(1), "'" + std::string(origin) + "/'*"));
  }
  if (name == "notify-send") {
    if (std::any_of(argv.begin() + 1, argv.end(), has_option)) return std::nullopt;
    return canonical_rule(rule_text(words.first(1), "**"));
  }
  if (name != "git") return std::nullopt;
  // git COMMAND [OPTIONS] REMOTE REF: another branch of the same remote.
  bool plain = std::count_if(argv.begin(), argv.end(), has_option) + 4 == static_cast<std::ptrdiff_t>(argv.size()) &&
               !has_option(argv.back());
  if (!plain) return std::nullopt;
  return canonical_rule(rule_text(words.first(words.size() - 1), "*"));
}

}  // namespace agentbox::policy
