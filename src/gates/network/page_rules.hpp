#pragma once

// What of a page that the room serves may reach its owner's browser, and who may ask for it. The page is the agent's: a
// browser runs it on the owner's machine, with a network that the room doesn't have. So every answer says that nothing may
// be loaded from elsewhere or sent there, nor be read by the pages of others; and the page has a name of its own, so that
// it shares neither cookies nor storage with anything else on localhost.
//
// What this does not stop: a page can still send the browser itself to another address (a link, `location = ...`), with
// data in it, in plain sight; and browsers look up names in advance where a page names them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http_head.hpp"

namespace agentbox::gates::network {

class PageRules {
 public:
  // `name`: "pi-k3f9.localhost".
  PageRules(std::string name, std::uint16_t port);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::string& authority() const noexcept { return authority_; }  // "pi-k3f9.localhost:3000"

  // Nothing: the room's server may hear it. Its texts live as long as this object.
  [[nodiscard]] std::optional<HttpRefusal> problem_of(const HttpRequest& request) const;
  // Where a browser should ask instead: it was sent to localhost, and the page lives under its own name.
  [[nodiscard]] std::optional<std::string> elsewhere(const HttpRequest& request) const;

  // The fields of every answer, and those that the room's server may not set: what they say holds for more than the page
  // (reports that are sent elsewhere, leave for other pages to read it), or would come after ours and win.
  [[nodiscard]] std::vector<HttpField> added() const;
  [[nodiscard]] static bool removes(const HttpField& field);

 private:
  [[nodiscard]] bool is_for_localhost(const HttpRequest& request) const;
  std::string name_, authority_, origin_, wrong_name_;
  std::uint16_t port_;
};

}  // namespace agentbox::gates::network
