#include "agentbox/plan/plan.hpp"

#include <algorithm>

namespace agentbox::plan {

namespace {

using base::AbsPath;
using policy::Access;
using policy::FileKind;
using policy::Mount;

// What bwrap lays itself, so that its command line is a sandbox that can be read: /usr and its kin. All else
// goes by descriptor, since bwrap reads the mount table again for each mount.
bool is_laid_by_bwrap(const Mount& mount) {
  return mount.why == Mount::Why::floor && mount.target.depth() == 1 && mount.kind == FileKind::directory &&
         mount.target.name() != "opt";
}
bool is_laid_by_bwrap(const policy::RoomLink& link) {
  return link.target.depth() == 1;
}

std::vector<BwrapOption> bwrap_options(const policy::Policy& policy) {
  std::vector<BwrapOption> options;
  auto add = [&](std::string option, std::vector<std::variant<std::string, FdSlot>> operands = {}) {
    options.push_back({std::move(option), std::move(operands)});
  };
  // Each namespace by its own name: --unshare-all stands for forms that go on when they fail.
  for (const char* option :
       {"--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup"}) {
    add(option);
  }
  if (!policy.nested_userns) add("--disable-userns");
  // Matters only for uid 0, which would keep all capabilities over the room's own mounts.
  add("--cap-drop", {"ALL"});
  add("--as-pid-1");  // init is the room's first process and reaps; nothing of bwrap stays inside
  add("--hostname", {"agentbox"});
  for (const Mount& mount : policy.mounts) {
    if (is_laid_by_bwrap(mount)) add("--ro-bind", {mount.source.str(), mount.target.str()});
  }
  for (const policy::RoomLink& link : policy.room_links) {
    if (is_laid_by_bwrap(link)) add("--symlink", {link.to, link.target.str()});
  }
  add("--proc", {"/proc"});
  add("--dev", {"/dev"});
  add("--dir", {"/run/agentbox"});
  add("--chdir", {"/"});
  add("--info-fd", {FdSlot::info});
  add("--block-fd", {FdSlot::block});
  add("--add-seccomp-fd", {FdSlot::seccomp});
  return options;
}

Furnishing furnishing_of(const Mount& mount) {
  if (mount.access == Access::hidden) return Mask{mount.target, mount.kind};
  if (mount.why == Mount::Why::ghost) return Ghost{mount.target};
  Bind bind{.source = mount.source, .target = mount.target, .kind = mount.kind, .why = mount.why};
  if (mount.access == Access::write) {
    bool device = mount.kind == FileKind::character_device;
    bind.mode = device ? Bind::Mode::device : Bind::Mode::write;
  }
  return bind;
}

// By path, so that whatever lies in a folder comes after the folder; no two have the same place. Sealing
// comes last: until then what is missing on the way to a target is made on the room's own tmpfs.
std::vector<Furnishing> furnishings(const policy::Policy& policy) {
  std::vector<Furnishing> all;
  all.reserve(policy.tmpfs.size() + policy.room_files.size() + policy.room_links.size() + policy.mounts.size() + 2);
  for (const policy::Tmpfs& tmpfs : policy.tmpfs) all.push_back(MakeTmpfs{tmpfs.target, tmpfs.size, tmpfs.mode});
  for (const policy::RoomFile& file : policy.room_files) {
    all.push_back(MakeFile{file.target, file.content, file.mode});
  }
  for (const policy::RoomLink& link : policy.room_links) {
    if (!is_laid_by_bwrap(link)) all.push_back(MakeLink{link.target, link.to});
  }
  for (const Mount& mount : policy.mounts) {
    if (!is_laid_by_bwrap(mount)) all.push_back(furnishing_of(mount));
  }
  std::ranges::sort(all, {}, target_of);
  all.push_back(Seal{AbsPath() / "dev"});
  all.push_back(Seal{AbsPath()});
  return all;
}

}  // namespace

const AbsPath& target_of(const Furnishing& furnishing) {
  return std::visit([](const auto& one) -> const AbsPath& { return one.target; }, furnishing);
}

LaunchPlan make(const policy::Policy& policy) {
  return {.bwrap = bwrap_options(policy),
          .seccomp = seccomp_program(policy.seccomp_allow, policy.seccomp_deny),
          .furnishings = furnishings(policy),
          .init = {.argv = policy.command,
                   .environment = policy.environment,
                   .directory = policy.directory,
                   .processes = policy.limits.processes,
                   .open_files = policy.limits.open_files,
                   .file_size = policy.limits.file_size,
                   .cpu_seconds = static_cast<std::uint64_t>(policy.limits.cpu_time.count())}};
}

}  // namespace agentbox::plan
