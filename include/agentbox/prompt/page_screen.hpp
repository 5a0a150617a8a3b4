#pragma once

// The human's terminal while pages are on it: takes it from the room (or from nobody), shows one page after the other
// without a flicker in between, reads keys, follows the size, and gives everything back as it was.
//
//   screen.open([&] { screen.show(page, typed); }, lost);
//   ... typed(bytes, now) is called with each read; it may show another page, or
//   screen.close([&] { the agent has its terminal again });

#include <functional>
#include <memory>
#include <string_view>

#include "agentbox/prompt/human_terminal.hpp"
#include "agentbox/prompt/page.hpp"

namespace boost::asio {
class io_context;
}

namespace agentbox::prompt {

class Relay;

class PageScreen {
 public:
  // Both are kept, and must outlive this. Without a relay the terminal is put into raw mode and restored at the end.
  PageScreen(boost::asio::io_context& loop, HumanTerminal& terminal, Relay* relay = nullptr);
  // Restores at once.
  ~PageScreen();
  PageScreen(const PageScreen&) = delete;
  PageScreen& operator=(const PageScreen&) = delete;

  // `ready` is called when a page can be shown: at once, or when the agent's last sequence is complete; and not before we
  // are in the foreground, or while a pager has the keyboard. `lost` when the terminal is gone, once; nothing is shown
  // from then on. Not while it is open.
  void open(std::function<void()> ready, std::function<void()> lost);
  // From now on this page, which must live until the next `show` or `close`. What was typed before is thrown away.
  // `typed` gets each read by itself; afterwards the page is drawn again.
  void show(Page& page, std::function<void(std::string_view, Clock::time_point)> typed);
  // The page stays, as it has changed, and reads go elsewhere.
  void keep(std::function<void(std::string_view, Clock::time_point)> typed);
  // The page has changed otherwise.
  void changed();
  // The terminal's size has changed. While it is open SIGWINCH is noticed anyway.
  void resized();
  // `closed` is called when the terminal is given back.
  void close(std::function<void()> closed = {});
  // The same at once, as the destructor does.
  void shut() noexcept;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace agentbox::prompt
