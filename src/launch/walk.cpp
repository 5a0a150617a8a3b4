#include "walk.hpp"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <linux/openat2.h>
#include <unistd.h>

#include <fmt/format.h>

#include "agentbox/base/error.hpp"
#include "agentbox/base/escape.hpp"
#include "agentbox/broker/thread.hpp"

#include "walk_board.hpp"
#include "walk_filter.hpp"
#include "walk_memory.hpp"
#include "walk_open.hpp"
#include "walk_worker.hpp"

namespace agentbox::launch {

using namespace std::chrono_literals;

namespace {

// The helper thread, joined when it goes. What it throws comes out of `join`.
class Helper {
 public:
  template <class F>
  void start(F work) {
    auto started = broker::start_without_signals([this, work] {
      try {
        work();
      } catch (...) {
        thrown_ = std::current_exception();
      }
    });
    if (started) thread_ = *std::move(started);  // else one is enough
  }
  [[nodiscard]] bool is_started() const { return thread_.joinable(); }
  void join() {
    if (thread_.joinable()) thread_.join();
    if (thrown_) std::rethrow_exception(thrown_);
  }
  ~Helper() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::thread thread_;
  std::exception_ptr thrown_;
};

NameTable name_table(const WalkRequest& request) {
  NameTable names;
  names[".git"].git = true;
  names["HEAD"].head = true;
  names["objects"].objects = true;
  names["refs"].refs = true;
  for (std::string_view name : request.markers) names[name].marker = true;
  for (std::string_view name : request.foreign) names[name].foreign = true;
  for (std::uint32_t i = 0; i < request.kinds.size(); ++i) names[request.kinds[i]].kind = i;
  return names;
}

Remembering remembering_in(int top, const WalkRequest& request) {
  // Twice the coarsest stamps that the file systems of has_telling_stamps() are known to keep.
  constexpr std::int64_t young_for_ns = 2'000'000'000;
  bool is_asked = request.memory != nullptr || request.noting == WalkRequest::Noting::yes;
  std::optional<Seen> seen = is_asked && has_telling_stamps(top) ? see(top, "") : std::nullopt;
  if (!seen) return {};
  std::int64_t now = request.now_ns.value_or(std::chrono::system_clock::now().time_since_epoch() / 1ns);
  return {.is_on = true, .place = seen->place, .uid = ::geteuid(), .young_ns = now - young_for_ns};
}

template <class T>
void append(std::vector<T>& to, std::vector<T>& from) {
  to.insert(to.end(), std::move_iterator(from.begin()), std::move_iterator(from.end()));
}

}  // namespace

Walked walk(const WalkRequest& request) {
  NameTable names = name_table(request);
  PatternFilter filter(request.patterns, names);
  Board board(request.bounds);
  Directory top{.fd = open_listing(AT_FDCWD, request.top.c_str(), RESOLVE_NO_SYMLINKS)};
  if (!top.fd) {
    throw base::SystemError(errno, fmt::format("cannot open the workspace {}", base::escape(request.top.str())));
  }
  Remembering remembering = remembering_in(top.fd.get(), request);
  std::shared_ptr<const WalkMemory> memory = request.memory;
  if (memory && (!remembering.is_on || memory->place() != remembering.place)) memory = nullptr;
  if (memory) top.memory = memory->top();
  Worker first(request, names, filter, board, remembering), second(request, names, filter, board, remembering);

  Helper helper;
  bool may_help = std::thread::hardware_concurrency() > 1;
  auto call_a_helper = [&] {
    if (!may_help || board.work() < request.helper_from) return;
    may_help = false;
    board.add_worker();
    helper.start([&] { board.stop_if_thrown([&] { second.run([] {}); }); });
    if (!helper.is_started()) board.remove_worker();
  };
  board.stop_if_thrown([&] {
    first.start_at(std::move(top));
    first.run(call_a_helper);
  });
  helper.join();

  Walked walked{
      .entries = board.entries(), .listed = board.listed(), .stopped = board.reason().why, .hint = board.reason().hint};
  for (Worker* worker : {&first, &second}) {
    append(walked.roots, worker->roots);
    append(walked.bare, worker->bare);
    append(walked.matches, worker->matches);
    append(walked.kinds, worker->kinds);
  }
  if (walked.stopped.empty() && first.is_noting() && second.is_noting()) {
    walked.notes = {std::move(first.notes), std::move(memory), remembering.place};
    append(walked.notes.directories, second.notes);
  }
  std::ranges::sort(walked.roots, {}, [](const FoundRoot& found) { return found.root.path; });
  std::ranges::sort(walked.bare);
  std::ranges::sort(walked.kinds, {}, &FoundKind::path);
  std::ranges::sort(walked.matches, {}, [](const FoundMatch& match) { return std::pair(match.path, match.pattern); });
  return walked;
}

}  // namespace agentbox::launch
