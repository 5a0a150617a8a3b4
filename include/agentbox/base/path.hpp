#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace agentbox::base {

// An absolute path in lexical normal form: it begins with '/', has no empty, "." or ".." component, no
// trailing slash (but "/" itself) and no NUL byte. The bytes need not be UTF-8. It says nothing about the
// file system: two AbsPaths may name one file, and a component may be a symbolic link.
class AbsPath {
 public:
  // The root, "/".
  AbsPath() : text_("/") {}

  // Folds "//" and "/./" and a trailing slash. Nothing for a relative path, a ".." (which only the file
  // system can resolve), a NUL, or more than 4095 bytes (PATH_MAX).
  [[nodiscard]] static std::optional<AbsPath> parse(std::string_view text);

  [[nodiscard]] const std::string& str() const noexcept { return text_; }
  [[nodiscard]] const char* c_str() const noexcept { return text_.c_str(); }
  [[nodiscard]] bool is_root() const noexcept { return text_.size() == 1; }
  // The last component; empty for the root.
  [[nodiscard]] std::string_view name() const noexcept;
  // The root's parent is the root.
  [[nodiscard]] AbsPath parent() const;
  [[nodiscard]] std::vector<std::string_view> components() const;
  // 0 for the root.
  [[nodiscard]] std::size_t depth() const noexcept;
  // True for the ancestor itself and for all below it, compared by component ("/ab" is not within "/a").
  [[nodiscard]] bool is_within(const AbsPath& ancestor) const noexcept;
  // Strictly below it.
  [[nodiscard]] bool is_below(const AbsPath& ancestor) const noexcept;
  // Precondition: is_within(ancestor). Empty for the ancestor itself, else "a/b".
  [[nodiscard]] std::string_view relative_to(const AbsPath& ancestor) const noexcept;
  // `relative` is one or more components, our own words. Throws SystemError for what join.hpp gives nothing for.
  [[nodiscard]] AbsPath operator/(std::string_view relative) const;

  friend bool operator==(const AbsPath&, const AbsPath&) = default;
  // By component, so that a parent comes before its children and siblings stay together ("/a/b" < "/a-b").
  friend std::strong_ordering operator<=>(const AbsPath& left, const AbsPath& right) noexcept;

 private:
  explicit AbsPath(std::string normal) : text_(std::move(normal)) {}
  std::string text_;
};

}  // namespace agentbox::base

template <>
struct std::hash<agentbox::base::AbsPath> {
  std::size_t operator()(const agentbox::base::AbsPath& path) const noexcept {
    return std::hash<std::string>{}(path.str());
  }
};
