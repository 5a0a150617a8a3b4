#pragma once

// How the walk's two workers share their work. Private to walk.cpp.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>

#include <fmt/format.h>

#include "agentbox/base/unique_fd.hpp"

#include "walk.hpp"
#include "walk_memory.hpp"

namespace agentbox::launch {

// A directory that has been read, with the subdirectories that are still to be entered.
struct Directory {
  base::UniqueFd fd;
  std::string relative;  // "" for the top
  std::string children;  // names, each ended by a NUL
  std::size_t next = 0;  // in `children`
  unsigned depth = 0;
  bool foreign = false;  // below node_modules and the like: roots don't count there
  bool git = false;      // inside a git directory
  WalkMemory::Directory memory;

  [[nodiscard]] bool is_done() const { return next >= children.size(); }
  [[nodiscard]] std::string_view take_child() {
    std::string_view name = children.c_str() + next;
    next += name.size() + 1;
    return name;
  }
};

// The second half of what `from` still has to do, for another worker; all of it if that is one child.
inline std::optional<Directory> split(Directory& from) {
  std::size_t left = from.children.size() - from.next;
  std::size_t cut = from.children.find('\0', from.next + left / 2 - 1) + 1;
  if (cut == from.children.size()) cut = from.next;
  Directory given{.fd = base::UniqueFd(::fcntl(from.fd.get(), F_DUPFD_CLOEXEC, 0)),
                  .relative = from.relative,
                  .children = from.children.substr(cut),
                  .depth = from.depth,
                  .foreign = from.foreign,
                  .git = from.git,
                  .memory = from.memory};
  if (!given.fd) return std::nullopt;  // no descriptor to spare: the work stays here
  from.children.resize(cut);
  return given;
}

struct Stop {
  std::string why, hint;
};

// What the workers share: the work that one has given away, and when to end.
class Board {
 public:
  explicit Board(const WalkBounds& bounds) : bounds_(bounds), end_(std::chrono::steady_clock::now() + bounds.time) {}

  void add_worker() {
    std::lock_guard guard(lock_);
    ++workers_;
  }
  void remove_worker() {
    std::lock_guard guard(lock_);
    --workers_;
  }
  // Waits until there is work, or until nobody has any.
  std::optional<Directory> take() {
    std::unique_lock guard(lock_);
    ++idle_;
    while (given_.empty() && idle_ < workers_ && !is_stopped()) changed_.wait(guard);
    if (given_.empty() || is_stopped()) {
      changed_.notify_all();
      return std::nullopt;
    }
    --idle_;
    std::optional<Directory> work(std::move(given_.front()));
    given_.pop_front();
    return work;
  }
  void give(Directory work) {
    std::lock_guard guard(lock_);
    given_.push_back(std::move(work));
    changed_.notify_one();
  }
  [[nodiscard]] bool is_work_wanted() const { return idle_.load(std::memory_order_relaxed) != 0; }

  // The first reason stands.
  void stop(std::string why, std::string hint = {}) {
    std::lock_guard guard(lock_);
    if (!stopped_.exchange(true)) reason_ = {std::move(why), std::move(hint)};
    changed_.notify_all();
  }
  // A worker that dies must not leave the other one waiting for it.
  template <class F>
  void stop_if_thrown(F work) {
    try {
      work();
    } catch (...) {
      stop("the search failed");
      throw;
    }
  }
  [[nodiscard]] bool is_stopped() const { return stopped_.load(std::memory_order_relaxed); }
  [[nodiscard]] const Stop& reason() const { return reason_; }

  // One directory, or a part of it. `listed`: those of its entries that were not remembered.
  void count(std::uint64_t entries, std::uint64_t listed) {
    listed_.fetch_add(listed, std::memory_order_relaxed);
    // What a directory costs besides its entries.
    work_.fetch_add(listed + 4, std::memory_order_relaxed);
    if (entries_.fetch_add(entries, std::memory_order_relaxed) + entries > bounds_.entries) {
      stop(fmt::format("it has more than {} entries", bounds_.entries),
           "start in a smaller folder, or hide the large ones");
    }
    if (std::chrono::steady_clock::now() > end_) {
      stop(fmt::format("it could not be searched within {} s", bounds_.time.count() / 1000),
           "try again now that the disk's cache is warm, start in a smaller folder, or hide the large ones");
    }
  }
  [[nodiscard]] std::uint64_t entries() const { return entries_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t listed() const { return listed_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t work() const { return work_.load(std::memory_order_relaxed); }

 private:
  const WalkBounds bounds_;
  const std::chrono::steady_clock::time_point end_;
  std::mutex lock_;
  std::condition_variable changed_;
  std::deque<Directory> given_;
  unsigned workers_ = 1;
  std::atomic<unsigned> idle_ = 0;
  std::atomic<bool> stopped_ = false;
  std::atomic<std::uint64_t> entries_ = 0, listed_ = 0, work_ = 0;
  Stop reason_;
};

}  // namespace agentbox::launch
