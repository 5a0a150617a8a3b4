#include "bwrap_facts.hpp"

#include <array>
#include <set>

#include <sys/stat.h>
#include <sys/xattr.h>

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/launch/look.hpp"

namespace agentbox::launch {

using base::AbsPath;
using policy::BwrapFact;
using policy::Disk;
using policy::FileFact;
using policy::FileKind;
using policy::Resolution;

namespace {

// In this order. A packager's own place comes first (a Nix package knows the exact store path).
constexpr std::array places{
#ifdef AGENTBOX_BWRAP
    AGENTBOX_BWRAP,
#endif
    "/usr/bin/bwrap",
    "/run/current-system/sw/bin/bwrap",
    "/usr/local/bin/bwrap",
};

// Can somebody other than root put another file at this place?
std::string distrust_of_entry(const AbsPath& path, const FileFact& fact) {
  std::string shown = base::escape(path.str());
  if (fact.uid != 0) return fmt::format("{} belongs to user {}, not to root", shown, fact.uid);
  if (fact.kind == FileKind::symlink) return {};  // a link's mode means nothing; its folder's does
  // In a sticky folder others may make entries, but not replace root's; the entry on the way is checked for
  // itself.
  bool is_sticky = fact.kind == FileKind::directory && (fact.mode & S_ISVTX) != 0;
  if (is_sticky || (fact.mode & (S_IWGRP | S_IWOTH)) == 0) return {};
  return fmt::format("{} is writable by {} (mode {:04o})", shown, (fact.mode & S_IWOTH) != 0 ? "everyone" : "its group",
                     fact.mode);
}

// `path` and every directory above it.
std::string distrust_of_way(const AbsPath& path, Disk& disk, std::set<AbsPath>& checked) {
  for (AbsPath at = path;; at = at.parent()) {
    if (checked.insert(at).second) {
      std::string reason = distrust_of_entry(at, disk.look(at));
      if (!reason.empty()) return reason;
    }
    if (at.is_root()) return {};
  }
}

bool has_file_capabilities(const AbsPath& path) {
  return ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
}

}  // namespace

std::string distrust_of_program(const AbsPath& path, Disk& disk) {
  Resolution real = policy::resolve(path, disk);
  std::string shown = base::escape(real.path.str());
  if (real.kind != FileKind::regular) return fmt::format("{} is no regular file", shown);
  std::set<AbsPath> checked;
  for (const Resolution::Link& link : real.links) {
    std::string reason = distrust_of_way(link.at, disk, checked);
    if (!reason.empty()) return reason;
  }
  std::string reason = distrust_of_way(real.path, disk, checked);
  if (!reason.empty()) return reason;
  if ((real.fact.mode & S_ISUID) != 0) return fmt::format("{} is setuid", shown);
  if ((real.fact.mode & S_ISGID) != 0) return fmt::format("{} is setgid", shown);
  if (has_file_capabilities(real.path)) return fmt::format("{} has file capabilities", shown);
  if ((real.fact.mode & 0111) == 0) return fmt::format("{} is not executable", shown);
  return {};
}

std::optional<BwrapFact> look_at_bwrap(Disk& disk) {
  std::optional<BwrapFact> first;
  for (const char* place : places) {
    AbsPath path = *AbsPath::parse(place);
    Resolution real = policy::resolve(path, disk);
    if (real.kind == FileKind::missing) continue;
    BwrapFact fact{
        .path = real.path, .uid = real.fact.uid, .mode = real.fact.mode, .distrust = distrust_of_program(path, disk)};
    if (fact.distrust.empty()) return fact;
    if (!first) first = std::move(fact);
  }
  return first;
}

std::optional<base::Diagnostic> bwrap_problem(const policy::HostFacts& facts) {
  if (!facts.bwrap) {
    return base::Diagnostic{
        .message = "bubblewrap is not installed: no bwrap in /usr/bin, /run/current-system/sw/bin or /usr/local/bin",
        .hint =
            "install it: apt install bubblewrap, dnf install bubblewrap, pacman -S bubblewrap, or add "
            "pkgs.bubblewrap to environment.systemPackages"};
  }
  if (facts.bwrap->distrust.empty()) return std::nullopt;
  std::string path = base::quote(facts.bwrap->path.str());
  if (facts.bwrap->distrust.find("belongs to user 65534,") != std::string::npos) {
    return base::Diagnostic{
        .message = "this bubblewrap can't be trusted: " + facts.bwrap->distrust,
        .hint =
            "this shell seems to be in a sandbox or container itself, where owners can't be told (65534 is anybody): "
            "run agentbox outside it"};
  }
  bool has_privileges = (facts.bwrap->mode & (S_ISUID | S_ISGID)) != 0;
  return base::Diagnostic{
      .message = "this bubblewrap can't be trusted: " + facts.bwrap->distrust,
      .hint = has_privileges ? fmt::format("agentbox needs no privileges: sudo chmod u-s,g-s {}", path)
                             : "reinstall the bubblewrap package, or give the file and its folders back to root: "
                               "chown root, chmod go-w"};
}

}  // namespace agentbox::launch
