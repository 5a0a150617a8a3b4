#pragma once

// What takes long and needs only what it is given, done by a thread beside the loop, one piece after the other: bodies
// of megabytes that are judged as a whole, attachments that are hashed. The room must not be able to hold up the guard
// and everybody else with them.

#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

namespace agentbox::gates {

class Aside {
 public:
  explicit Aside(boost::asio::io_context& loop);
  // No `then` is called any more. Waits for nothing: `work` may still be under way.
  ~Aside();
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

  // `work` runs on the thread, and must hold whatever it touches; then `then` in the loop. Where there can't be a
  // thread (the room may have used up its owner's processes) `work` is done at once.
  void run(std::function<void()> work, std::function<void()> then);

 private:
  struct Owner;
  std::shared_ptr<Owner> owner_;
};

}  // namespace agentbox::gates
