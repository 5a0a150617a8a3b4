// Paths and patterns: one splitter for both, so that they agree on what "~", a variable and ".." are.

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "agentbox/base/escape.hpp"

#include "values.hpp"

namespace agentbox::profile {

namespace {

constexpr std::size_t path_max = 4095;  // PATH_MAX without its NUL
constexpr std::size_t name_max = 255;   // NAME_MAX of every file system that Linux has

enum class Anchor { none, root, home, folder, workspace, roots, gitdirs };

struct Variable {
  std::string_view name;
  std::string_view canonical;
  Anchor anchor;
};
constexpr std::array variables{
    Variable{"HOME", "~", Anchor::home},
    Variable{"XDG_CONFIG_HOME", "$XDG_CONFIG_HOME", Anchor::folder},
    Variable{"XDG_STATE_HOME", "$XDG_STATE_HOME", Anchor::folder},
    Variable{"XDG_CACHE_HOME", "$XDG_CACHE_HOME", Anchor::folder},
    Variable{"XDG_DATA_HOME", "$XDG_DATA_HOME", Anchor::folder},
    Variable{"workspace", "${workspace}", Anchor::workspace},
    Variable{"roots", "${roots}", Anchor::roots},
    Variable{"gitdirs", "${gitdirs}", Anchor::gitdirs},
};

struct Split {
  Anchor anchor = Anchor::none;
  std::string_view prefix;  // canonical: "", "/", "~", "${workspace}", ...
  std::vector<std::string_view> components;
  bool directory = false;  // written with a trailing slash
  bool slash = false;      // a '/' before its end
};

// "$NAME" or "${NAME}" at the beginning of `text`: the name, and what is left behind it.
struct Reference {
  std::string_view name, rest;
  bool closed = true;
};
Reference reference(std::string_view text) {
  text.remove_prefix(1);
  if (text.starts_with('{')) {
    std::size_t end = text.find('}');
    if (end == std::string_view::npos) return {.name = text.substr(1), .closed = false};
    return {.name = text.substr(1, end - 1), .rest = text.substr(end + 1)};
  }
  std::size_t end = 0;
  auto is_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  while (end < text.size() && is_name(text[end])) ++end;
  return {.name = text.substr(0, end), .rest = text.substr(end)};
}

std::unexpected<Fault> unknown_variable(std::string_view text, std::string_view mark, std::string_view name) {
  if (name == "XDG_RUNTIME_DIR") {
    return fault_at(text, mark, "'$XDG_RUNTIME_DIR' cannot be granted: it holds the sockets of your whole desktop",
                    "name one socket by its absolute path");
  }
  std::vector<std::string_view> names;
  for (const Variable& variable : variables) names.push_back(variable.name);
  std::string_view near = base::nearest(name, names);
  if (near.empty()) {
    return fault_at(text, mark, fmt::format("unknown variable '{}'", base::escape(name)),
                    fmt::format("these are known: {}", fmt::join(names, ", ")));
  }
  return fault_at(text, mark, fmt::format("unknown variable '{}'", base::escape(name)),
                  fmt::format("did you mean '{}'?", near));
}

// Takes what the text begins with into `split`; returns what is left, without the slash between.
Parsed<std::string_view> take_anchor(std::string_view text, Split& split) {
  if (text.front() == '/') {
    split.anchor = Anchor::root;
    split.prefix = "/";
    return text.substr(1);
  }
  std::string_view rest;
  if (text.front() == '~') {
    split.anchor = Anchor::home;
    split.prefix = "~";
    rest = text.substr(1);
    if (!rest.empty() && rest.front() != '/') {
      return fault_at(text, text.substr(0, text.find('/')), "the home of another user cannot be named with '~'",
                      "write its absolute path, or './~name' for a file of that name");
    }
  } else if (text.front() == '$') {
    Reference variable = reference(text);
    if (!variable.closed) return fault_at(text, text.substr(0, 2), "this variable has no closing '}'");
    std::string_view mark = text.substr(0, text.size() - variable.rest.size());
    auto known = std::ranges::find(variables, variable.name, &Variable::name);
    if (known == variables.end()) return unknown_variable(text, mark, variable.name);
    split.anchor = known->anchor;
    split.prefix = known->canonical;
    rest = variable.rest;
    if (!rest.empty() && rest.front() != '/') {
      return fault_at(text, rest.substr(0, rest.find('/')),
                      "a variable stands for a whole folder: a '/' must follow it");
    }
  } else {
    return text;
  }
  return rest.empty() ? rest : rest.substr(1);
}

Parsed<Split> split(std::string_view text) {
  if (text.empty()) return fault("an empty path names nothing");
  if (text.find('\0') != std::string_view::npos) return fault("a path cannot hold a NUL");
  if (text.size() > path_max) return fault(fmt::format("a path is at most {} bytes long", path_max));
  Split result;
  Parsed<std::string_view> after = take_anchor(text, result);
  if (!after) return std::unexpected(after.error());
  std::string_view rest = *after;
  result.directory = text.size() > 1 && text.ends_with('/');
  while (!rest.empty()) {
    std::size_t end = std::min(rest.find('/'), rest.size());
    std::string_view part = rest.substr(0, end);
    if (end < rest.size() && rest.find_first_not_of('/', end) != std::string_view::npos) result.slash = true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      return fault_at(text, part, "'..' can match nothing", "write the path that you mean, without '..'");
    }
    if (part.size() > name_max) return fault_at(text, part, "no file has a name of more than 255 bytes");
    if (std::size_t dollar = part.find('$'); dollar != std::string_view::npos) {
      return fault_at(text, part.substr(dollar), "a variable is allowed only at the beginning of a path");
    }
    result.components.push_back(part);
  }
  return result;
}

std::string join(std::string_view prefix, const std::vector<std::string_view>& components) {
  std::string text(prefix);
  for (std::string_view component : components) {
    if (!text.empty() && text != "/") text += '/';
    text += component;
  }
  return text;
}

// One component of a pattern.
std::unexpected<Fault> odd(std::string_view text, std::string_view part, std::string message) {
  return fault_at(text, part, std::move(message),
                  "only '*' (within a name) and '**' (any number of folders) are special");
}
Parsed<bool> check_component(std::string_view text, std::string_view part) {
  if (part == "**") return true;
  if (std::size_t stars = part.find("**"); stars != std::string_view::npos) {
    return odd(text, part.substr(stars, part.find_first_not_of('*', stars) - stars),
               "'**' must be alone between slashes, so this can match nothing");
  }
  if (std::size_t mark = part.find_first_of("?[]{}\\"); mark != std::string_view::npos) {
    return odd(text, part.substr(mark, 1),
               fmt::format("'{}' has no meaning in a pattern; '*' matches it too", part[mark]));
  }
  return part.find('*') != std::string_view::npos;
}

bool is_outside(Anchor anchor) {
  return anchor == Anchor::root || anchor == Anchor::home || anchor == Anchor::folder;
}

struct Shaped {
  PatternText pattern;
  Anchor anchor = Anchor::none;
};

Parsed<Shaped> shape(std::string_view text) {
  Parsed<Split> parts = split(text);
  if (!parts) return std::unexpected(parts.error());
  Split& found = *parts;
  if (found.components.empty()) {
    if (found.anchor == Anchor::none || found.anchor == Anchor::workspace) {
      return fault("this is the workspace itself", "for the workspace as a whole there is [workspace] mode");
    }
    if (found.anchor == Anchor::roots || found.anchor == Anchor::gitdirs) {
      return fault(fmt::format("'{}' must be followed by '/' and a name", found.prefix));
    }
    return fault("this would be everything", "name what you mean");
  }
  bool wild = false;
  for (std::string_view part : found.components) {
    Parsed<bool> special = check_component(text, part);
    if (!special) return std::unexpected(special.error());
    if (*special && is_outside(found.anchor)) {
      return fault_at(text, part, "a '*' works only inside the workspace", "outside, name the path");
    }
    wild = wild || *special;
  }
  // "**/**/x" is "**/x"; and that is "x", which matches at any depth by itself.
  auto repeated = std::ranges::unique(found.components, [](auto a, auto b) { return a == "**" && b == "**"; });
  found.components.erase(repeated.begin(), repeated.end());
  if (found.components.size() == 1 && found.components[0].find_first_not_of('*') == std::string_view::npos &&
      (found.anchor == Anchor::none || found.anchor == Anchor::workspace)) {
    return fault("this matches everything", "for the workspace as a whole there is [workspace] mode");
  }
  if (found.anchor == Anchor::none) {
    if (found.components.size() == 2 && found.components[0] == "**") {
      found.components.erase(found.components.begin());
    } else if (found.components.size() == 1 && found.slash) {
      found.prefix = "${workspace}";  // "./x"
      found.anchor = Anchor::workspace;
    }
  } else if (found.anchor == Anchor::workspace && (found.components.size() > 1)) {
    found.prefix = "";  // with a '/' inside it counts from the root by itself
  }
  return Shaped{{.text = join(found.prefix, found.components), .directory = found.directory}, found.anchor};
}

}  // namespace

std::unexpected<Fault> fault(std::string message, std::string hint) {
  return std::unexpected(Fault{.message = std::move(message), .hint = std::move(hint)});
}

std::unexpected<Fault> fault_at(std::string_view text, std::string_view part, std::string message, std::string hint) {
  return std::unexpected(Fault{.message = std::move(message),
                               .hint = std::move(hint),
                               .offset = static_cast<std::size_t>(part.data() - text.data()),
                               .length = part.size()});
}

Parsed<PathText> path_with(std::string_view text, Star star) {
  Parsed<Split> parts = split(text);
  if (!parts) return std::unexpected(parts.error());
  if (parts->anchor == Anchor::none) {
    return fault("a path begins with '/', '~' or a variable",
                 fmt::format("did you mean '${{workspace}}/{}'?", base::escape(join("", parts->components))));
  }
  if (parts->anchor == Anchor::roots || parts->anchor == Anchor::gitdirs) {
    return fault(fmt::format("'{}' is allowed only in hide, protect and hold", parts->prefix));
  }
  for (std::string_view part : parts->components) {
    if (star == Star::refused && part.find('*') != std::string_view::npos) {
      return fault_at(text, part, "'*' is allowed only in hide, protect and hold",
                      "grant the folder, or each path by its name");
    }
  }
  return PathText{.text = join(parts->prefix, parts->components), .directory = parts->directory};
}

Parsed<PathText> path(std::string_view text) {
  return path_with(text, Star::refused);
}

Parsed<PatternText> pattern(std::string_view text) {
  Parsed<Shaped> shaped = shape(text);
  if (!shaped) return std::unexpected(shaped.error());
  return std::move(shaped->pattern);
}

Parsed<PatternText> workspace_pattern(std::string_view text) {
  Parsed<Shaped> shaped = shape(text);
  if (!shaped) return std::unexpected(shaped.error());
  if (shaped->anchor == Anchor::root) {
    return fault("an absolute path can match nothing here: [workspace] counts from the workspace's root",
                 fmt::format("did you mean '${{workspace}}{}'?", base::escape(shaped->pattern.text)));
  }
  if (is_outside(shaped->anchor)) {
    return fault("this lies outside the workspace, so it can match nothing here",
                 "[files] hide is for what lies outside");
  }
  return std::move(shaped->pattern);
}

Parsed<PatternText> outside_pattern(std::string_view text) {
  Parsed<Shaped> shaped = shape(text);
  if (!shaped) return std::unexpected(shaped.error());
  if (!is_outside(shaped->anchor)) {
    return fault("[files] hide begins with '/', '~' or a folder's variable",
                 "[workspace] hide is for what lies in the workspace");
  }
  return std::move(shaped->pattern);
}

}  // namespace agentbox::profile
