#include "agentbox/base/path.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/base/join.hpp"

namespace agentbox::base {

namespace {

constexpr std::size_t path_max = 4095;

// '/' sorts before every other byte, so that a parent's children come before its longer-named siblings.
int order_of(char c) {
  return c == '/' ? 0 : 1 + static_cast<unsigned char>(c);
}

}  // namespace

std::optional<AbsPath> AbsPath::parse(std::string_view text) {
  if (text.empty() || text.front() != '/' || text.size() > path_max) return std::nullopt;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  std::string normal;
  normal.reserve(text.size());
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = std::min(text.find('/', begin), text.size());
    std::string_view part = text.substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") return std::nullopt;
    normal += '/';
    normal += part;
  }
  if (normal.empty()) normal = "/";
  return AbsPath(std::move(normal));
}

std::string_view AbsPath::name() const noexcept {
  return std::string_view(text_).substr(text_.rfind('/') + 1);
}

AbsPath AbsPath::parent() const {
  std::size_t slash = text_.rfind('/');
  return slash == 0 ? AbsPath() : AbsPath(text_.substr(0, slash));
}

std::vector<std::string_view> AbsPath::components() const {
  std::vector<std::string_view> parts;
  if (is_root()) return parts;
  std::string_view rest = std::string_view(text_).substr(1);
  while (true) {
    std::size_t slash = rest.find('/');
    parts.push_back(rest.substr(0, slash));
    if (slash == std::string_view::npos) return parts;
    rest.remove_prefix(slash + 1);
  }
}

std::size_t AbsPath::depth() const noexcept {
  return is_root() ? 0 : static_cast<std::size_t>(std::ranges::count(text_, '/'));
}

bool AbsPath::is_within(const AbsPath& ancestor) const noexcept {
  if (ancestor.is_root()) return true;
  return text_.starts_with(ancestor.text_) &&
         (text_.size() == ancestor.text_.size() || text_[ancestor.text_.size()] == '/');
}

bool AbsPath::is_below(const AbsPath& ancestor) const noexcept {
  return text_.size() != ancestor.text_.size() && is_within(ancestor);
}

std::string_view AbsPath::relative_to(const AbsPath& ancestor) const noexcept {
  std::string_view rest = std::string_view(text_).substr(ancestor.is_root() ? 0 : ancestor.text_.size());
  if (!rest.empty()) rest.remove_prefix(1);
  return rest;
}

AbsPath AbsPath::operator/(std::string_view relative) const {
  std::optional<AbsPath> joined = join(*this, relative);
  // The folder may be somebody else's, and as long as a path can be.
  if (!joined) throw SystemError(ENAMETOOLONG, fmt::format("{} below {}", quote(relative), quote(text_)));
  return *std::move(joined);
}

std::optional<AbsPath> join(const AbsPath& folder, std::string_view relative) {
  return AbsPath::parse((folder.is_root() ? "" : folder.str()) + "/" + std::string(relative));
}

std::strong_ordering operator<=>(const AbsPath& left, const AbsPath& right) noexcept {
  const std::string &a = left.text_, &b = right.text_;
  std::size_t common = std::min(a.size(), b.size()), at = 0;
  // Paths that are compared share most of their text: eight bytes at a time.
  while (at + 8 <= common && std::memcmp(a.data() + at, b.data() + at, 8) == 0) at += 8;
  while (at < common && a[at] == b[at]) ++at;
  if (at == common) return a.size() <=> b.size();
  return order_of(a[at]) <=> order_of(b[at]);
}

}  // namespace agentbox::base
