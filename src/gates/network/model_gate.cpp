#include <optional>
#include <string>
#include <utility>

#include "agentbox/gates/network/loopback.hpp"

#include "http_door.hpp"
#include "model_api.hpp"
#include "model_judge.hpp"

namespace agentbox::gates::network {

HttpRelay::Judge model_judge() {
  HttpRelay::Judge judge;
  judge.head = [](const HttpRequest& request) -> std::optional<HttpRefusal> {
    const auto call = rule_model_call(request);
    return call ? std::nullopt : std::optional(call.error());
  };
  judge.collects = [](const HttpRequest& request) -> std::size_t {
    const auto call = rule_model_call(request);
    return call && *call == ModelBody::json ? most_model_body : 0;
  };
  judge.body = [](const HttpRequest&, const std::string& body) { return problem_of_model_body(body); };
  return judge;
}

class ModelGate::Impl : public HttpDoor {
 public:
  using HttpDoor::HttpDoor;
};

namespace {

HttpDoor::Setup model_setup(std::uint16_t port, Limits limits) {
  HttpDoor::Setup setup;
  setup.port = port;
  setup.passing.authority = "localhost:" + std::to_string(port);
  setup.passing.upgrade = HttpRequests::Passing::Upgrade::drop;
  setup.judge = model_judge;
  setup.limits = limits;
  return setup;
}

}  // namespace

ModelGate::ModelGate(boost::asio::io_context& loop, std::uint16_t port, Limits limits)
    : impl_(std::make_unique<Impl>(loop, model_setup(port, limits))) {}
ModelGate::~ModelGate() = default;
void ModelGate::serve(base::UniqueFd listener) {
  impl_->serve(std::move(listener));
}
Counters ModelGate::counters() const noexcept {
  return impl_->counters();
}

}  // namespace agentbox::gates::network
