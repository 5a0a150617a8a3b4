#pragma once

// One of the walk's workers: goes through directories, alone or with another one. Private to walk.cpp.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agentbox/base/path.hpp"

#include "walk.hpp"
#include "walk_board.hpp"
#include "walk_filter.hpp"
#include "walk_memory.hpp"
#include "walk_open.hpp"

namespace agentbox::launch {

// When what is seen may be remembered, or what was remembered be believed. The same for both workers.
struct Remembering {
  bool is_on = false;
  MountPlace place;  // of the top: what lies on another mount is always read
  std::uint32_t uid = 0;
  // A ctime from this moment on is too young: the kernel stamps by a clock that may stand still for 10 ms (see
  // current_time() in fs/inode.c), and some file systems keep whole seconds, so a later change could bear it as well.
  std::int64_t young_ns = 0;

  [[nodiscard]] bool allows(const Seen& seen) const {
    constexpr std::int64_t second = 1'000'000'000;
    bool is_plain_directory = (seen.mode & 0170000) == 0040000;
    // Only its owner's rights count: a group or capability may be gone tomorrow, and then it can't be read.
    bool is_own = seen.uid == uid && (seen.mode & 0500) == 0500;
    // A stamp of whole seconds could come again when the clock is set back.
    bool is_fine = seen.stamp.changed_ns % second != 0 && seen.stamp.changed_ns < young_ns;
    return is_on && is_plain_directory && is_own && is_fine && seen.place == place;
  }
  [[nodiscard]] bool is_unchanged(const Seen& seen, const WalkMemory::Directory& then) const {
    return is_on && seen.place == place && seen.stamp.inode != 0 && seen.stamp == then.stamp();
  }
};

class Worker {
 public:
  Worker(const WalkRequest& request, const NameTable& names, const PatternFilter& filter, Board& board,
         const Remembering& remembering)
      : request_(request),
        names_(names),
        filter_(filter),
        board_(board),
        remembering_(remembering),
        is_noting_(remembering.is_on && request.noting == WalkRequest::Noting::yes) {}

  void start_at(Directory top) {
    read(top);
    stack_.push_back(std::move(top));
  }
  // Returns when nobody has work left. `after_each` is called after each directory.
  template <class F>
  void run(F after_each) {
    while (!board_.is_stopped()) {
      while (!stack_.empty() && stack_.back().is_done()) stack_.pop_back();
      if (stack_.empty()) {
        std::optional<Directory> work = board_.take();
        if (!work) return;
        stack_.push_back(std::move(*work));
      }
      enter_next_child();
      if (board_.is_work_wanted()) share();
      after_each();
    }
  }
  std::vector<FoundRoot> roots;
  std::vector<base::AbsPath> bare;
  std::vector<FoundMatch> matches;
  std::vector<FoundKind> kinds;
  std::vector<DirectoryNote> notes;
  // Did it keep notes to the end? There may be too many.
  [[nodiscard]] bool is_noting() const noexcept { return is_noting_; }

 private:
  // What the entries of one directory say about the directory itself.
  struct Signs {
    bool git = false, marker = false, head = false, refs = false, objects = false;
    std::vector<std::uint32_t> kinds;
    DirectoryNote* note = nullptr;
  };

  void enter_next_child();
  [[nodiscard]] base::UniqueFd open_child(const Directory& parent, const char* name, const std::string& relative);
  [[nodiscard]] base::UniqueFd open_mount(const Directory& parent, const char* name, const std::string& relative);
  void read(Directory& directory);
  void recall(Directory& directory);
  void list(Directory& directory, Signs& signs);
  void keep(DirectoryNote note);
  void consider(Directory& directory, Signs& signs, std::string_view name, policy::FileKind kind);
  // Returns true if the entry is a directory that is hidden as a whole.
  bool compare(const std::string& relative, policy::FileKind kind);
  void judge(Directory& directory, Signs signs);
  [[nodiscard]] bool is_worth_entering(const Directory& parent, std::string_view name,
                                       const NameTable::Meaning* meaning) const;
  [[nodiscard]] bool roots_count_in(const Directory& directory) const {
    return request_.roots && !directory.foreign && !directory.git;
  }
  void share();
  // Nothing if the path is longer than the kernel takes: a place that no program can name, but that can be
  // reached.
  [[nodiscard]] std::optional<base::AbsPath> absolute(const std::string& relative);

  const WalkRequest& request_;
  const NameTable& names_;
  const PatternFilter& filter_;
  Board& board_;
  const Remembering& remembering_;
  bool is_noting_;
  std::size_t noted_bytes_ = 0;
  Listing listing_;
  std::vector<Directory> stack_;  // from the top down; only the last one is being entered
  std::vector<std::size_t> hits_;
};

}  // namespace agentbox::launch
