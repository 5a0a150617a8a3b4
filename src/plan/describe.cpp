// What `agentbox explain --bwrap` prints.

#include <fmt/format.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/plan/plan.hpp"

namespace agentbox::plan {

namespace {

using base::quote;
using Why = policy::Mount::Why;

std::string_view name_of(FdSlot slot) {
  switch (slot) {
    case FdSlot::seccomp: return "$SECCOMP_FD";
    case FdSlot::info: return "$INFO_FD";
    case FdSlot::block: return "$BLOCK_FD";
  }
  return {};
}

std::string_view reason_of(Why why) {
  switch (why) {
    case Why::floor: return "system";
    case Why::grant: return "granted";
    case Why::workspace: return "workspace";
    case Why::git: return "the repository's data";
    case Why::ancestor: return "a mount point, so that it can't be renamed";
    case Why::protect: return "protected";
    case Why::hide: return "hidden";
    case Why::ghost: return "protected, missing";
    case Why::device: return "device";
    case Why::pin: return "protected: the link itself";
  }
  return {};
}

std::string line(std::string_view what, const base::AbsPath& target, std::string_view detail) {
  return fmt::format("{:<6} {}{}{}\n", what, quote(target.str()), detail.empty() ? "" : "  # ", detail);
}

std::string describe(const MakeTmpfs& tmpfs) {
  return line("tmpfs", tmpfs.target, fmt::format("{} KiB, mode {:04o}", tmpfs.size >> 10, tmpfs.mode));
}
std::string describe(const MakeFile& file) {
  return line("file", file.target, fmt::format("{} bytes, mode {:04o}", file.content.size(), file.mode));
}
std::string describe(const MakeLink& link) {
  return line("link", link.target, "-> " + base::escape(link.to));
}
std::string describe(const Bind& bind) {
  std::string_view mode = bind.mode == Bind::Mode::read ? "read" : bind.mode == Bind::Mode::write ? "write" : "device";
  std::string detail(reason_of(bind.why));
  if (bind.source != bind.target) detail += ", from " + base::escape(bind.source.str());
  return line(mode, bind.target, detail);
}
std::string describe(const Mask& mask) {
  return line("mask", mask.target, mask.kind == policy::FileKind::directory ? "hidden folder" : "hidden file");
}
std::string describe(const Ghost& ghost) {
  return line("ghost", ghost.target, reason_of(Why::ghost));
}
std::string describe(const Seal& seal) {
  return line("seal", seal.target, "read-only from here on");
}

}  // namespace

std::string describe(const LaunchPlan& plan) {
  std::string out = "bwrap";
  for (const BwrapOption& option : plan.bwrap) {
    out += " \\\n  " + option.option;
    for (const auto& operand : option.operands) {
      out += ' ';
      if (const auto* slot = std::get_if<FdSlot>(&operand)) {
        out += name_of(*slot);
      } else {
        out += quote(std::get<std::string>(operand));
      }
    }
  }
  out += fmt::format(" \\\n  -- {}\n", init_path);
  out += "\n# While bwrap waits, by descriptor and in this order:\n";
  for (const Furnishing& furnishing : plan.furnishings) {
    out += std::visit([](const auto& one) { return describe(one); }, furnishing);
  }
  out += line("init", *base::AbsPath::parse(init_path), "placed last: without it there is nothing to run");
  if (!plan.init.argv.empty()) {
    out += fmt::format("\n# Then init runs, in {}:\n{}\n", quote(plan.init.directory.str()),
                       quote(std::span<const std::string>(plan.init.argv)));
  }
  return out;
}

}  // namespace agentbox::plan
