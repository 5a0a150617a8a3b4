// What agentbox itself changed, because the owner said so, is from then on what is guarded.

#include <algorithm>

#include "agentbox/base/escape.hpp"

#include "guard_impl.hpp"

namespace agentbox::launch {

namespace {

// The node of a held path that `path` names; the end when there was none.
auto node_of(auto& held, const AbsPath& path) {
  return std::ranges::find(held.nodes, path.relative_to(held.path), &HeldNode::relative);
}

auto held_at(auto& record, const AbsPath& path) {
  return std::ranges::find_if(record.held, [&](const HeldPath& held) { return path.is_within(held.path); });
}

std::string read_copy(int copies, const HeldNode& node) {
  std::string content(node.size, '\0');
  for (std::size_t at = 0; at < content.size();) {
    ssize_t count = ::pread(copies, content.data() + at, content.size() - at, static_cast<off_t>(node.offset + at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw SystemError(count < 0 ? errno : EIO, "cannot read the copies of held files");
    at += static_cast<std::size_t>(count);
  }
  return content;
}

}  // namespace

std::optional<Guard::Original> Guard::Impl::original(const AbsPath& path) const {
  auto held = held_at(record_, path);
  if (held == record_.held.end()) return std::nullopt;
  auto node = node_of(*held, path);
  if (node == held->nodes.end()) return Original{};
  if (node->kind != FileKind::regular) return Original{.was = Original::Was::other, .content = {}};
  std::expected<UniqueFd, int> copies = folder_->open_copies();
  if (!copies) throw SystemError(copies.error(), "cannot read the copies of held files");
  return Original{.was = Original::Was::file, .content = read_copy(copies->get(), *node)};
}

void Guard::Impl::renew(const AbsPath& path) {
  if (!folder_ || failed_) return;
  try {
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (!path.is_within(names_[i].host)) continue;
      awaited_.erase(i);
      renew(names_[i], path);
    }
    hold_again(path);
    folder_->write(record_);
  } catch (const SystemError& error) {
    fail(error);
  }
}

void Guard::Impl::renew(GuardedName& name, const AbsPath& path) {
  bool linked = false;
  std::optional<Entry> entry = look(name, linked);
  if (linked) throw SystemError(ELOOP, "cannot look at " + base::escape(name.host.str()));
  if (name.role == Role::forbidden) {
    if (entry) protect(name, *entry);
    name.own = entry.has_value();
    return;
  }
  if (name.role != Role::mount || name.ancestor) return;
  if (!entry) {
    // The host took it away for good: what appears there later is taken, by now and by a sweep.
    name.gone = true;
    if (std::ranges::find(record_.watched, name.host) == record_.watched.end()) record_.watched.push_back(name.host);
    return;
  }
  // A folder that is there shows what changes in it; an empty one of ours hides it.
  const bool was_ghost = std::holds_alternative<plan::Ghost>(*name.furnishing);
  if (name.host != path && !was_ghost && !name.gone) return;
  std::erase(record_.watched, name.host);
  furnish_again(name, *entry);
  name.own = name.host == path;
}

// One that was watched for is there, and the owner's own.
void Guard::Impl::protect(GuardedName& name, const Entry& entry) {
  name.role = Role::mount;
  name.directory = entry.kind == FileKind::directory;
  name.furnishing = plan::Bind{.source = name.host,
                               .target = name.target,
                               .kind = entry.kind,
                               .mode = plan::Bind::Mode::read,
                               .why = policy::Mount::Why::protect};
  furnish_again(name, entry);
  std::erase(record_.watched, name.host);
}

// Of this one file: what else the agent has made of a held folder stays to be asked for.
void Guard::Impl::hold_again(const AbsPath& path) {
  auto held = held_at(record_, path);
  if (held == record_.held.end()) return;
  if (auto old = node_of(*held, path); old != held->nodes.end()) held->nodes.erase(old);
  std::expected<UniqueFd, int> parent = tree_->directory(path.parent());
  std::optional<Entry> entry;
  if (parent) entry = look_at(parent->get(), std::string(path.name()));
  if (!entry) return;
  // The folders on the way to it, as they are.
  for (AbsPath folder = path.parent(); folder.is_within(held->path); folder = folder.parent()) {
    if (node_of(*held, folder) != held->nodes.end()) break;
    std::optional<Entry> there = tree_->look(folder);
    if (!there) throw SystemError(ENOENT, "cannot look at " + base::escape(folder.str()));
    held->nodes.push_back({.relative = std::string(folder.relative_to(held->path)),
                           .kind = FileKind::directory,
                           .mode = there->mode,
                           .modified_ns = there->modified_ns});
  }
  std::uint64_t end = 0;
  for (const HeldPath& other : record_.held) {
    for (const HeldNode& node : other.nodes) end = std::max(end, node.offset + node.size);
  }
  UniqueFd copies = folder_->add_to_copies();
  std::expected<UniqueFd, int> file = open_regular(parent->get(), std::string(path.name()));
  if (!file) throw SystemError(file.error(), "cannot copy " + base::escape(path.str()));
  copy_bytes(file->get(), 0, copies.get(), static_cast<std::int64_t>(end), entry->size);
  held->nodes.push_back({.relative = std::string(path.relative_to(held->path)),
                         .kind = FileKind::regular,
                         .mode = entry->mode,
                         .modified_ns = entry->modified_ns,
                         .size = entry->size,
                         .offset = end});
  // Parents before children, as whoever restores them needs it.
  std::ranges::sort(held->nodes, {}, &HeldNode::relative);
}

}  // namespace agentbox::launch
