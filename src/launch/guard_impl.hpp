#pragma once

// The state behind Guard: guard.cpp watches and acts, guard_changes.cpp follows what the owner has allowed.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "agentbox/base/error.hpp"
#include "agentbox/launch/guard.hpp"

#include "guard_names.hpp"
#include "guard_search.hpp"
#include "guard_settle.hpp"
#include "guard_tree.hpp"
#include "held.hpp"
#include "leftovers.hpp"
#include "record.hpp"
#include "watcher.hpp"

namespace agentbox::launch {

using base::AbsPath;
using base::SystemError;
using base::UniqueFd;
using policy::FileKind;
using Role = GuardedName::Role;

class Guard::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const policy::Policy& policy, const plan::LaunchPlan& plan, const AbsPath& state_folder,
       const std::string& session, std::shared_ptr<const WalkStore> walks);

  void on_event(std::function<void(const GuardEvent&)> listener) { listener_ = std::move(listener); }
  void watch(boost::asio::io_context& loop, Room& room, From from);
  void begin();
  void look_now();
  void stop();
  std::vector<GuardEvent> finish(const Judge& judge);

  // guard_changes.cpp
  [[nodiscard]] std::optional<Original> original(const AbsPath& path) const;
  void renew(const AbsPath& path);

 private:
  // guard_end.cpp
  void settle(const Judge& judge);
  [[nodiscard]] Leftovers review(const Judge& judge);
  void put_back(const Leftovers& wanted);
  [[nodiscard]] bool note_all(std::vector<GuardEvent> events);

  void first_look();
  void arm();
  void beat_in(std::chrono::seconds time);
  void handle();
  void act(const std::vector<std::size_t>& names);
  [[nodiscard]] std::optional<Entry> look(LastDirectory& parents, const GuardedName& name, bool& linked) const;
  [[nodiscard]] std::optional<Entry> look(const GuardedName& name, bool& linked) const;
  [[nodiscard]] bool needs_action(LastDirectory& parents, std::size_t index, bool replaced);
  void act_on(std::size_t index);
  void take(const GuardedName& name, const char* why = "it appeared during the run, and programs outside would execute it");
  bool take_if_written(GuardedName& name, const Entry& entry);
  void mask(GuardedName& name, const Entry& entry);
  void furnish_again(GuardedName& name, const Entry& entry);
  void furnish_below(const GuardedName& ancestor);
  void make_ghost(GuardedName& name);
  void await_replacement(std::size_t index);
  void end_replacement();

  // guard_changes.cpp
  void renew(GuardedName& name, const AbsPath& path);
  void protect(GuardedName& name, const Entry& entry);
  void hold_again(const AbsPath& path);

  void tell(GuardEvent::Kind kind, const AbsPath& path, std::string detail, std::string id = {});
  void fail(const SystemError& error);

  AbsPath state_folder_;
  std::shared_ptr<const WalkStore> walks_;
  Spares spares_{state_folder_};
  Record record_;
  Kinds kinds_;
  std::int64_t started_ns_;
  std::vector<GuardedName> names_;
  std::optional<Tree> tree_;
  std::optional<RunFolder> folder_;  // nothing: there is nothing to guard
  KnownGhosts known_ghosts_;

  Room* room_ = nullptr;
  std::optional<Watcher> watcher_;
  std::optional<boost::asio::posix::stream_descriptor> readable_;
  std::chrono::steady_clock::time_point looked_;
  std::optional<boost::asio::steady_timer> begin_timer_, beat_timer_, replacement_timer_;
  std::set<std::size_t> awaited_;  // mounts whose file the host took away a moment ago
  bool awaiting_ = false;          // the room is frozen until it is known whether they come back
  bool failed_ = false;            // unverified: the room stays frozen
  int taken_ = 0;
  std::vector<Taken> unsealed_;
  std::function<void(const GuardEvent&)> listener_;
  std::vector<GuardEvent> events_;
  std::jthread syncing_;  // last: it uses the folder
};

}  // namespace agentbox::launch
