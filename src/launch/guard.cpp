#include <algorithm>
#include <chrono>
#include <unordered_set>

#include <poll.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/broker/thread.hpp"

#include "guard_git.hpp"
#include "guard_impl.hpp"
#include "guard_start.hpp"

namespace agentbox::launch {

namespace {

// A program that replaces a file by deleting it and writing it anew (git does) needs this long at most. Until
// then the room stays frozen, so that what appears is the host's and not the agent's.
constexpr std::chrono::milliseconds replacement_time{100};
// See Guard::watch.
constexpr std::chrono::milliseconds soon{25};
constexpr std::chrono::seconds heartbeat{30};
constexpr std::chrono::microseconds moment{200};
// Bringing the record to the disk costs more than the start of a room: a run that is over by then never pays
// for it. A killed supervisor doesn't need it, only a machine that loses its power does.
constexpr std::chrono::seconds sync_after{1};
// A file system's clock goes on once in a tick of the kernel's, at most 10 ms (HZ=100): what is made right after the
// start may look as if it was there before.
constexpr std::int64_t file_clock_lag_ns = 20'000'000;
// More than this is no mishap: the run ends.
constexpr int taking_limit = 100;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Beside the run, for it waits for the disk.
void slow_work(const std::stop_token& stop, const RunFolder* folder, const AbsPath& state_folder) {
  folder->sync();
  try {
    Spares(state_folder).trim(stop, Spares::kept);
  } catch (const SystemError&) {
    // They are empty directories: the next run tries again.
  }
}

}  // namespace

Guard::Impl::Impl(const policy::Policy& policy, const plan::LaunchPlan& plan, const AbsPath& state_folder,
                  const std::string& session, std::shared_ptr<const WalkStore> walks)
    : state_folder_(state_folder),
      walks_(std::move(walks)),
      started_ns_(now_ns() - file_clock_lag_ns),
      names_(guarded_names(policy, plan)) {
  if (names_.empty() && policy.held.empty() && policy.repositories.empty()) return;
  const OwnersLocks locks;
  tree_.emplace(policy.workspace);
  kinds_ = kinds_of(policy);
  WrittenDown written = write_down(policy, names_, *tree_, state_folder_, session, started_ns_ / 1'000'000'000);
  record_ = std::move(written.record);
  folder_ = std::move(written.folder);
}

// ---- while the room runs -------------------------------------------------------------------------------------

void Guard::Impl::watch(boost::asio::io_context& loop, Room& room, From from) {
  if (!folder_) return;
  room_ = &room;
  beat_timer_.emplace(loop);
  beat_in(sync_after);
  if (names_.empty()) return;
  replacement_timer_.emplace(loop);
  first_look();
  readable_.emplace(loop);
  if (from == From::now) return begin();
  begin_timer_.emplace(loop, soon);
  begin_timer_->async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    std::shared_ptr<Impl> self = weak.lock();
    if (error || !self || !self->begin_timer_ || self->failed_) return;
    try {
      self->begin();
    } catch (const SystemError& failure) {
      self->fail(failure);
    }
  });
}

void Guard::Impl::begin() {
  std::vector<AbsPath> paths;
  for (const GuardedName& name : names_) paths.push_back(name.host);
  watcher_.emplace(*tree_, paths);
  watcher_->start();
  readable_->assign(watcher_->descriptor());
  // What happened before has no event.
  std::vector<std::size_t> names;
  LastDirectory parents(*tree_);
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (needs_action(parents, i, false)) names.push_back(i);
  }
  if (!names.empty()) act(names);
  arm();
}

// Between the look at the machine and now a program outside may have made what was missing. The agent hasn't
// run yet: so it is the owner's, and is protected or hidden as if it had been there.
void Guard::Impl::first_look() {
  const OwnersLocks locks;
  bool rewrite = false;
  std::unordered_set<AbsPath> ghosts(record_.ghosts.begin(), record_.ghosts.end());
  LastDirectory parents(*tree_);
  for (std::size_t i = 0; i < names_.size(); ++i) {
    GuardedName& name = names_[i];
    bool linked = false;
    std::optional<Entry> entry = look(parents, name, linked);
    if (linked) throw SystemError(ELOOP, "cannot look at " + base::escape(name.host.str()));
    name.seen = entry;
    if (name.role == Role::mount) {
      if (!entry) await_replacement(i);
      if (entry && ghosts.contains(name.host)) known_ghosts_[name.host] = *entry;
    } else if (entry && name.role == Role::hidden) {
      mask(name, *entry);
    } else if (entry) {
      protect(name, *entry);
      rewrite = true;
    }
  }
  if (rewrite) folder_->write(record_);
}

void Guard::Impl::arm() {
  readable_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                        [weak = weak_from_this()](const boost::system::error_code& error) {
                          std::shared_ptr<Impl> self = weak.lock();
                          if (error || !self || self->failed_ || !self->readable_) return;
                          self->handle();
                          if (!self->failed_) self->arm();
                        });
}

void Guard::Impl::beat_in(std::chrono::seconds time) {
  beat_timer_->expires_after(time);
  beat_timer_->async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    std::shared_ptr<Impl> self = weak.lock();
    if (error || !self || !self->beat_timer_) return;
    if (!self->syncing_.joinable()) {
      auto started = broker::start_without_signals<std::jthread>(slow_work, &*self->folder_, self->state_folder_);
      if (started) self->syncing_ = *std::move(started);  // else the next beat tries again
    }
    self->folder_->beat();
    self->beat_in(heartbeat);
  });
}

void Guard::Impl::handle() {
  try {
    Watcher::Report report = watcher_->read();
    std::vector<std::size_t> names;
    LastDirectory parents(*tree_);
    for (const Watcher::Touched& touched : report.touched) {
      if (needs_action(parents, touched.name, touched.replaced)) names.push_back(touched.name);
    }
    if (!names.empty()) act(names);
  } catch (const SystemError& error) {
    fail(error);
  }
}

// The wait of `arm` may then find nothing, which does no harm. A loop that isn't busy comes to it by itself.
void Guard::Impl::look_now() {
  if (failed_ || !watcher_ || !readable_ || !readable_->is_open()) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ < moment) return;
  looked_ = now;
  pollfd happened{readable_->native_handle(), POLLIN, 0};
  if (::poll(&happened, 1, 0) == 1) handle();
}

std::optional<Entry> Guard::Impl::look(const GuardedName& name, bool& linked) const {
  LastDirectory parents(*tree_);
  return look(parents, name, linked);
}

std::optional<Entry> Guard::Impl::look(LastDirectory& parents, const GuardedName& name, bool& linked) const {
  const std::expected<UniqueFd, int>& parent = parents.open(name.host.parent());
  if (parent) return look_at(parent->get(), std::string(name.host.name()));
  linked = parent.error() == ELOOP;
  if (linked || parent.error() == ENOENT || parent.error() == ENOTDIR) return std::nullopt;
  throw SystemError(parent.error(), "cannot look at " + base::escape(name.host.str()));
}

// Looked at without freezing, for most of what happens in a directory is nobody's business. What is missing
// here and appears later is another event.
bool Guard::Impl::needs_action(LastDirectory& parents, std::size_t index, bool replaced) {
  GuardedName& name = names_[index];
  bool linked = false;
  std::optional<Entry> entry = look(parents, name, linked);
  if (linked) return name.role != Role::hidden;
  bool same = entry && name.seen && same_object(*entry, *name.seen);
  switch (name.role) {
    case Role::forbidden: return entry.has_value();
    case Role::hidden:
      if (!entry) name.seen.reset();
      return entry && !same;
    case Role::mount: break;
  }
  if (name.gone || awaited_.contains(index)) return entry.has_value();
  if (!entry) return true;
  // The directory that the guard itself had made is an event as well.
  if (same && std::exchange(name.own, false)) return false;
  return replaced || !same;
}

// If anything fails, the room stays frozen: nothing more happens in it until it is killed.
void Guard::Impl::act(const std::vector<std::size_t>& names) {
  room_->freeze();
  for (std::size_t index : names) act_on(index);
  room_->thaw();
}

void Guard::Impl::act_on(std::size_t index) {
  GuardedName& name = names_[index];
  bool linked = false;
  std::optional<Entry> entry = look(name, linked);  // again: now nothing moves
  if (linked || name.role == Role::forbidden) {
    take(name);
    return;
  }
  if (!entry) {
    if (name.role == Role::mount && !name.gone) await_replacement(index);
    return;
  }
  if (name.role == Role::hidden) {
    mask(name, *entry);
    tell(GuardEvent::Kind::hidden, name.host, "it appeared during the run, and is hidden from the room");
    return;
  }
  bool hides = std::holds_alternative<plan::Mask>(*name.furnishing);
  if (name.gone && !hides && !name.ancestor) {
    // The host took it away for good; what appears later is the agent's as likely as not.
    take(name);
    return;
  }
  bool again = awaited_.erase(index) == 0 && !name.gone;
  if (take_if_written(name, *entry)) return;
  furnish_again(name, *entry);
  if (name.ancestor) furnish_below(name);
  tell(GuardEvent::Kind::placed_again, name.host,
       again
           ? "it was replaced, from outside or in that moment by the agent; what stands there now is guarded as it was"
           : "it was taken away and came back; what stands there now is guarded as it was");
}

// Whoever has it open for writing could write on through what guards it. A program outside closes what it has written;
// the room stands still, and can't.
bool Guard::Impl::take_if_written(GuardedName& name, const Entry& entry) {
  if (entry.kind != FileKind::regular) return false;
  const std::expected<UniqueFd, int> parent = tree_->directory(name.host.parent());
  if (!parent || !is_still_written(parent->get(), std::string(name.host.name()))) return false;
  name.gone = true;
  take(name, "it was replaced during the run, and something has it open for writing");
  return true;
}

void Guard::Impl::take(const GuardedName& name, const char* why) {
  if (++taken_ > taking_limit) throw SystemError(0, fmt::format("more than {} files were taken", taking_limit));
  Taking taking{
      .state_folder = state_folder_, .path = {}, .session = record_.session, .profile = record_.profile, .why = {}};
  Settling settling{
      .tree = *tree_, .taking = std::move(taking), .copies = -1, .note = {}, .until_ns = {}, .unsealed = &unsealed_};
  std::optional<GuardEvent> event = take_away(settling, name.host, why, Link::always);
  if (event) tell(event->kind, event->path, std::move(event->detail), std::move(event->id));
}

void Guard::Impl::mask(GuardedName& name, const Entry& entry) {
  FileKind kind = entry.kind == FileKind::directory ? FileKind::directory : FileKind::regular;
  room_->furnish(plan::Mask{.target = name.target, .kind = kind});
  name.seen = entry;
}

// ---- mounts that fell off -----------------------------------------------------------------------------------

void Guard::Impl::furnish_again(GuardedName& name, const Entry& entry) {
  bool directory = entry.kind == FileKind::directory;
  plan::Furnishing furnishing = *name.furnishing;
  if (auto* mask = std::get_if<plan::Mask>(&furnishing)) {
    mask->kind = directory ? FileKind::directory : FileKind::regular;
  } else if (std::holds_alternative<plan::Ghost>(furnishing)) {
    // It was missing and is the owner's now: to be read, not to be written.
    furnishing = plan::Bind{.source = name.host,
                            .target = name.target,
                            .kind = entry.kind,
                            .mode = plan::Bind::Mode::read,
                            .why = policy::Mount::Why::protect};
  }
  if (auto* bind = std::get_if<plan::Bind>(&furnishing); bind != nullptr && bind->why != policy::Mount::Why::pin) {
    bind->kind = entry.kind;
    // Where it leads is for the next start to look at.
    if (entry.kind == FileKind::symlink) furnishing = plan::Mask{.target = name.target, .kind = FileKind::regular};
  }
  room_->furnish(furnishing);
  name.seen = entry;
  name.gone = false;
}

// With the directory went all that was mounted in it.
void Guard::Impl::furnish_below(const GuardedName& ancestor) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    GuardedName& name = names_[i];
    if (!name.host.is_below(ancestor.host)) continue;
    bool linked = false;
    std::optional<Entry> entry = look(name, linked);
    if (name.role == Role::forbidden) {
      if (entry || linked) take(name);
    } else if (entry && name.role == Role::hidden) {
      mask(name, *entry);
    } else if (entry) {
      furnish_again(name, *entry);
    } else if (name.role == Role::mount) {
      name.directory && !name.ancestor ? make_ghost(name) : void(name.gone = true);
    }
  }
}

void Guard::Impl::make_ghost(GuardedName& name) {
  if (std::ranges::find(record_.ghosts, name.host) == record_.ghosts.end()) {
    record_.ghosts.push_back(name.host);
    folder_->write(record_);  // before it is made
  }
  std::expected<UniqueFd, int> parent = tree_->directory(name.host.parent());
  int error = parent ? make_directory(parent->get(), std::string(name.host.name()), 0755) : parent.error();
  if (error != 0 && error != EEXIST) throw SystemError(error, "cannot make " + base::escape(name.host.str()));
  room_->furnish(plan::Mask{.target = name.target, .kind = FileKind::directory});
  bool linked = false;
  name.seen = look(name, linked);
  name.own = true;
  name.gone = false;
  if (!name.seen) throw SystemError(0, "cannot keep " + base::escape(name.host.str()) + " from being made");
  known_ghosts_[name.host] = *name.seen;
}

void Guard::Impl::await_replacement(std::size_t index) {
  awaited_.insert(index);
  if (awaiting_) return;
  room_->freeze();
  awaiting_ = true;
  replacement_timer_->expires_after(replacement_time);
  replacement_timer_->async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    std::shared_ptr<Impl> self = weak.lock();
    if (!error && self && self->replacement_timer_ && !self->failed_) self->end_replacement();
  });
}

void Guard::Impl::end_replacement() {
  try {
    if (watcher_) handle();  // what is queued; may place some of them again
    if (failed_) return;
    for (std::size_t index : std::exchange(awaited_, {})) {
      GuardedName& name = names_[index];
      bool linked = false;
      std::optional<Entry> entry = look(name, linked);
      if (entry && take_if_written(name, *entry)) continue;
      if (entry) {
        furnish_again(name, *entry);
        if (name.ancestor) furnish_below(name);
      } else if (name.directory && !name.ancestor && tree_->directory(name.host.parent())) {
        make_ghost(name);
      } else {
        name.gone = true;
      }
      tell(GuardEvent::Kind::placed_again, name.host,
           entry ? "it was taken away and came back; what stands there now is guarded as it was"
                 : "it was taken away from outside; the room can't make another one");
    }
    awaiting_ = false;
    room_->thaw();
  } catch (const SystemError& error) {
    fail(error);
  }
}

// ---- the end ------------------------------------------------------------------------------------------------

void Guard::Impl::tell(GuardEvent::Kind kind, const AbsPath& path, std::string detail, std::string id) {
  events_.push_back({.kind = kind, .path = path, .detail = std::move(detail), .id = std::move(id)});
  if (listener_) listener_(events_.back());
}

void Guard::Impl::fail(const SystemError& error) {
  failed_ = true;
  try {
    room_->freeze();  // and never thaw: whatever could not be guarded must not be used
  } catch (const SystemError&) {
    // Said below: the run ends either way.
  }
  tell(GuardEvent::Kind::unverified, record_.workspace, error.what());
  if (!listener_) throw error;
}

void Guard::Impl::stop() {
  if (begin_timer_) begin_timer_->cancel();
  if (beat_timer_) beat_timer_->cancel();
  if (replacement_timer_) replacement_timer_->cancel();
  if (readable_) {
    if (readable_->is_open()) (void)readable_->release();  // cancels; the watcher closes it
  }
  readable_.reset();
  begin_timer_.reset();
  beat_timer_.reset();
  replacement_timer_.reset();
  syncing_.request_stop();
  if (syncing_.joinable()) syncing_.join();
}

Guard::Guard(const policy::Policy& policy, const plan::LaunchPlan& plan, const AbsPath& state_folder,
             const std::string& session, std::shared_ptr<const WalkStore> walks)
    : impl_(std::make_shared<Impl>(policy, plan, state_folder, session, std::move(walks))) {}

Guard::~Guard() {
  impl_->stop();
}

void Guard::on_event(std::function<void(const GuardEvent&)> listener) {
  impl_->on_event(std::move(listener));
}

void Guard::watch(boost::asio::io_context& loop, Room& room, From from) {
  impl_->watch(loop, room, from);
}

void Guard::look() {
  impl_->look_now();
}

std::optional<Guard::Original> Guard::original(const AbsPath& path) const {
  return impl_->original(path);
}

void Guard::renew(const AbsPath& path) {
  impl_->renew(path);
}

std::vector<GuardEvent> Guard::finish(const Judge& judge) {
  return impl_->finish(judge);
}

}  // namespace agentbox::launch
