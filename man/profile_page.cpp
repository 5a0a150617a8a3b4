// Writes agentbox-profile(5): the template that its first argument names, with the key reference made from the schema in
// the place of @KEYS@ and its second argument for @PROFILES@. Runs at build time only.

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

#include "agentbox/profile/parse.hpp"

namespace {

using namespace agentbox::profile;

// Text as mdoc(7) shows it: no backslash means anything, no line begins a macro.
std::string plain(std::string_view text) {
  std::string out;
  bool begin = true;
  for (char c : text) {
    if (begin && (c == '.' || c == '\'')) out += "\\&";
    begin = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else {
      out += c;
    }
  }
  return out;
}

// Each sentence on a line of its own, as mdoc(7) wants it.
std::string sentences(std::string_view text) {
  std::string out;
  for (std::size_t end = text.find(". "); end != std::string_view::npos; end = text.find(". ")) {
    out += plain(text.substr(0, end + 1)) + "\n";
    text.remove_prefix(end + 2);
  }
  return out + plain(text) + "\n";
}

// An argument of a macro.
std::string argument(std::string_view text) {
  std::string out = "\"";
  for (char c : plain(text)) {
    if (c == '"')
      out += "\\(dq";
    else
      out += c;
  }
  return out + "\"";
}

std::string key_page(const KeyDoc& key) {
  std::string out = ".It Ic " + std::string(key.key) + " Pq " + argument(key.type) + "\n" + sentences(key.text);
  out += ".Pp\n";
  if (!key.fallback.empty()) out += "Default: " + plain(key.fallback) + ".\n";
  out += "Merging: " + plain(key.merging) + ".\n";
  if (!key.tightening.empty()) out += "In\n.Pa .agentbox.toml :\n" + plain(key.tightening) + ".\n";
  return out + ".Bd -literal -offset indent\n" + plain(key.example) + "\n.Ed\n";
}

std::string keys() {
  std::string out;
  for (const SectionDoc& section : sections()) {
    out += section.name.empty() ? ".Ss Top level\n" : ".Ss " + argument("[" + std::string(section.name) + "]") + "\n";
    out += sentences(section.text) + ".Bl -tag -width Ds\n";
    for (const KeyDoc& key : schema()) {
      if (key.section == section.name) out += key_page(key);
    }
    out += ".El\n";
  }
  out.pop_back();
  return out;
}

void replace(std::string& text, std::string_view mark, const std::string& with) {
  for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + with.size())) {
    text.replace(at, mark.size(), with);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::ifstream file(argc == 3 ? argv[1] : "");
  if (!file) {
    std::fprintf(stderr, "usage: profile_page TEMPLATE PROFILE-FOLDER\n");
    return 2;
  }
  std::stringstream content;
  content << file.rdbuf();
  std::string page = content.str();
  replace(page, "@KEYS@", keys());
  replace(page, "@PROFILES@", argv[2]);
  return std::fwrite(page.data(), 1, page.size(), stdout) == page.size() && std::fflush(stdout) == 0 ? 0 : 1;
}
