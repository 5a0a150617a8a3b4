#include "expand.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "agentbox/base/escape.hpp"

namespace agentbox::policy {

namespace {

using base::AbsPath;

struct Variable {
  std::string_view name;
  AbsPath Places::* place;
};
constexpr std::array variables = {
    Variable{"HOME", &Places::home},
    Variable{"workspace", &Places::workspace},
    Variable{"XDG_CONFIG_HOME", &Places::config_home},
    Variable{"XDG_STATE_HOME", &Places::state_home},
    Variable{"XDG_CACHE_HOME", &Places::cache_home},
    Variable{"XDG_DATA_HOME", &Places::data_home},
};

const AbsPath* find_place(std::string_view name, const Places& places) {
  for (const Variable& variable : variables) {
    if (variable.name == name) return &(places.*variable.place);
  }
  return nullptr;
}

std::string did_you_mean(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Variable& variable : variables) names.push_back(variable.name);
  std::string_view near = base::nearest(name, names);
  return near.empty() ? "the variables are HOME, workspace, XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME and "
                        "XDG_DATA_HOME"
                      : "did you mean '" + std::string(near) + "'?";
}

bool has_dot_dot(std::string_view text) {
  for (std::size_t begin = 0; begin <= text.size();) {
    std::size_t end = std::min(text.find('/', begin), text.size());
    if (text.substr(begin, end - begin) == "..") return true;
    begin = end + 1;
  }
  return false;
}

// The folder that the text begins with, and what follows it ("/a/b" or nothing).
struct Head {
  const AbsPath* folder = nullptr;  // nullptr: "/"
  std::string_view rest;
};
base::Result<Head> head_of(std::string_view text, const profile::Origin& origin, const Places& places) {
  if (text.starts_with('/')) return Head{nullptr, text};
  std::size_t end = std::min(text.find('/'), text.size());
  std::string_view first = text.substr(0, end), rest = text.substr(end);
  if (first == "~") return Head{&places.home, rest};
  if (first.starts_with('~')) {
    return fail_at(origin, "another user's home, '" + base::escape(first) + "', has no meaning here",
                   "write the path in full, or '~/' for your own home");
  }
  std::string_view name;
  if (first.starts_with("${") && first.ends_with('}')) {
    name = first.substr(2, first.size() - 3);
  } else if (first.starts_with('$')) {
    name = first.substr(1);
  } else {
    return fail_at(origin, "'" + base::escape(text) + "' is not an absolute path",
                   "begin it with '/', '~/' or '${workspace}/'");
  }
  const AbsPath* place = find_place(name, places);
  if (place == nullptr) {
    return fail_at(origin, "unknown variable '" + base::escape(name) + "' in a path", did_you_mean(name));
  }
  return Head{place, rest};
}

base::Result<AbsPath> absolute(std::string_view text, const profile::Origin& origin, const Places& places) {
  base::Result<Head> head = head_of(text, origin, places);
  if (!head) return std::unexpected(head.error());
  if (has_dot_dot(head->rest)) {
    return fail_at(origin, "'" + base::escape(text) + "' holds '..'", "write where it leads to");
  }
  std::string joined(head->folder != nullptr ? head->folder->str() : "");
  std::optional<AbsPath> path = AbsPath::parse(joined + "/" + std::string(head->rest));
  if (!path) return fail_at(origin, "'" + base::escape(text) + "' is no path: it is too long or holds a NUL byte");
  return *std::move(path);
}

// Takes the components of a pattern apart; `**` at the front becomes `any_depth`.
void take_apart(std::string_view text, PatternPlace& place) {
  bool first = true;
  for (std::size_t begin = 0; begin <= text.size();) {
    std::size_t end = std::min(text.find('/', begin), text.size());
    std::string_view part = text.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "**" && first) {
      place.any_depth = true;
    } else if (part != "**" || place.components.empty() || place.components.back() != "**") {
      place.literal = place.literal && part.find('*') == std::string_view::npos;
      place.components.emplace_back(part);
      first = false;
    }
  }
}

}  // namespace

base::Diagnostic error_at(const profile::Origin& origin, std::string message, std::string hint) {
  return {.file = origin.file,
          .at = origin.at,
          .source_line = origin.source_line,
          .message = std::move(message),
          .hint = std::move(hint)};
}

std::unexpected<base::Diagnostics> fail_at(const profile::Origin& origin, std::string message, std::string hint) {
  return std::unexpected(base::Diagnostics{error_at(origin, std::move(message), std::move(hint))});
}

Places places_of(const HostFacts& facts) {
  return {facts.user.home, facts.workspace, facts.config_home, facts.state_home, facts.cache_home, facts.data_home};
}

base::Result<AbsPath> expand(const profile::Located<profile::PathText>& text, const Places& places) {
  return absolute(text.value.text, text.origin, places);
}

std::string PatternPlace::relative() const {
  std::string text;
  for (const std::string& component : components) {
    if (!text.empty()) text += '/';
    text += component;
  }
  return text;
}

base::Result<PatternPlace> place_of(const profile::Located<profile::PatternText>& pattern, const Places& places) {
  std::string_view text = pattern.value.text;
  PatternPlace place{.directory = pattern.value.directory || text.ends_with('/')};
  while (text.size() > 1 && text.ends_with('/')) text.remove_suffix(1);
  if (has_dot_dot(text)) {
    return fail_at(pattern.origin, "the pattern '" + base::escape(text) + "' holds '..'", "write where it leads to");
  }
  auto with_prefix = [&](std::string_view prefix, PatternPlace::Base base) {
    if (!text.starts_with(prefix) || (text.size() > prefix.size() && text[prefix.size()] != '/')) return false;
    place.base = base;
    take_apart(text.substr(prefix.size()), place);
    return true;
  };
  if (with_prefix("${roots}", PatternPlace::Base::roots) || with_prefix("${gitdirs}", PatternPlace::Base::gitdirs)) {
    if (place.any_depth) {
      return fail_at(pattern.origin, "'**' has no meaning right behind '${roots}' or '${gitdirs}'",
                     "a pattern without '/' matches at any depth of the workspace");
    }
  } else if (text.starts_with('/') || text.starts_with('~') || text.starts_with('$')) {
    base::Result<AbsPath> path = absolute(text, pattern.origin, places);
    if (!path) return std::unexpected(path.error());
    bool inside = path->is_within(places.workspace);
    place.base = inside ? PatternPlace::Base::workspace : PatternPlace::Base::root_folder;
    take_apart(inside ? path->relative_to(places.workspace) : std::string_view(path->str()), place);
    if (!inside && (!place.literal || place.any_depth)) {
      return fail_at(pattern.origin, "the pattern '" + base::escape(text) + "' has a wildcard outside the workspace",
                     "only the workspace is searched; outside it, name the files or their folder");
    }
    if (inside && place.components.empty()) {
      return fail_at(pattern.origin, "the pattern '" + base::escape(text) + "' names the whole workspace",
                     "`mode = \"read-only\"` in [workspace] makes all of it read-only");
    }
  } else {
    bool slash = text.find('/') != std::string_view::npos;
    take_apart(text, place);
    place.any_depth = place.any_depth || !slash;
  }
  if (place.components.empty()) {
    return fail_at(pattern.origin, "the pattern '" + base::escape(pattern.value.text) + "' names nothing");
  }
  return place;
}

base::Result<std::string> expand_value(const profile::Located<std::string>& value, const ValueNames& names) {
  std::string_view text = value.value;
  std::string out;
  while (true) {
    std::size_t dollar = text.find("${");
    out += text.substr(0, dollar);
    if (dollar == std::string_view::npos) return out;
    if (dollar > 0 && text[dollar - 1] == '$') {
      out += '{';
      text.remove_prefix(dollar + 2);
      continue;
    }
    std::size_t end = text.find('}', dollar);
    std::string_view name = text.substr(dollar + 2, end == std::string_view::npos ? end : end - dollar - 2);
    if (end == std::string_view::npos) {
      return fail_at(value.origin, "'${' without '}' in '" + base::escape(value.value) + "'",
                     "write '$${' for a literal '${'");
    }
    if (name == "SHELL") {
      out += names.shell;
    } else if (name == "USER") {
      out += names.user;
    } else if (const AbsPath* place = find_place(name, names.places)) {
      out += place->str();
    } else {
      return fail_at(value.origin,
                     "unknown variable '" + base::escape(name) + "' in '" + base::escape(value.value) + "'",
                     "write '$${' for a literal '${'");
    }
    text.remove_prefix(end + 1);
  }
}

}  // namespace agentbox::policy
