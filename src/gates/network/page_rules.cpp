#include "page_rules.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "agentbox/gates/network/loopback.hpp"

namespace agentbox::gates::network {

namespace {

// Of all fields of that name.
template <class Test>
bool all_are(const HttpRequest& request, std::string_view name, Test test) {
  return std::ranges::all_of(request.fields,
                             [&](const HttpField& field) { return !same_word(field.name, name) || test(field.value); });
}

bool is_one_of(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view other) { return same_word(word, other); });
}

// A browser says which page's wish this is (Fetch Metadata). Other pages may lead to this one, and no more: what they load
// they could read, or run.
bool is_of_another_page(const HttpRequest& request) {
  const bool own = all_are(request, "sec-fetch-site",
                           [](std::string_view site) { return is_one_of(site, {"same-origin", "none"}); });
  if (own) return false;
  const bool visit = request.method == "GET" && request.upgrade.empty() &&
                     all_are(request, "sec-fetch-mode", [](std::string_view mode) { return mode == "navigate"; }) &&
                     all_are(request, "sec-fetch-dest", [](std::string_view to) { return to == "document"; });
  return !visit;
}

// Such a worker would answer later visits itself: with pages that nobody has written a policy for. Every browser says what
// it fetches such a script for (Service Workers, "Service-Worker: script").
bool is_for_service_worker(const HttpRequest& request) {
  return !all_are(request, "service-worker", [](std::string_view) { return false; }) ||
         !all_are(request, "sec-fetch-dest", [](std::string_view to) { return !same_word(to, "serviceworker"); });
}

}  // namespace

PageRules::PageRules(std::string name, std::uint16_t port)
    : name_(std::move(name)),
      authority_(http_authority({.text = name_, .address = {}}, port)),
      origin_("http://" + authority_),
      wrong_name_("this page is at http://" + authority_ + "/ only"),
      port_(port) {}

bool PageRules::is_for_localhost(const HttpRequest& request) const {
  if (!request.authority || request.authority->port.value_or(80) != port_) return false;
  return is_one_of(request.authority->host.text, {"localhost", "127.0.0.1", "::1"});
}

std::optional<HttpRefusal> PageRules::problem_of(const HttpRequest& request) const {
  if (request.target == HttpRequest::Target::authority) return HttpRefusal{405, "this is no proxy"};
  if (!request.authority) return HttpRefusal{400, wrong_name_};
  const bool ours = request.authority->host.text == name_ && request.authority->port.value_or(80) == port_;
  if (!ours && !elsewhere(request)) return HttpRefusal{421, wrong_name_};
  if (!all_are(request, "origin", [this](std::string_view origin) { return origin == origin_; }) ||
      is_of_another_page(request)) {
    return HttpRefusal{403, "another page asks for it"};
  }
  if (is_for_service_worker(request)) return HttpRefusal{403, "a service worker would answer in place of this gate"};
  if (!request.upgrade.empty() && !same_word(request.upgrade, "websocket")) {
    return HttpRefusal{400, "the only upgrade that passes here is to websocket"};
  }
  return std::nullopt;
}

std::optional<std::string> PageRules::elsewhere(const HttpRequest& request) const {
  const bool looks = (request.method == "GET" || request.method == "HEAD") && request.upgrade.empty();
  if (!looks || !is_for_localhost(request) || !request.path.starts_with('/')) return std::nullopt;
  return origin_ + request.path;
}

std::vector<HttpField> PageRules::added() const {
  return {{"Content-Security-Policy",
           fmt::format("default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' ws://{} data: "
                       "blob:; form-action 'self'; base-uri 'self'; frame-ancestors 'self'; webrtc 'block'",
                       authority_)},
          // Not no-referrer, with which a page's own forms would lose their Origin.
          {"Referrer-Policy", "same-origin"},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Cross-Origin-Resource-Policy", "same-origin"},
          {"X-DNS-Prefetch-Control", "off"}};
}

bool PageRules::removes(const HttpField& field) {
  if (is_one_of(field.name,
                {"referrer-policy", "cross-origin-opener-policy", "cross-origin-opener-policy-report-only",
                 "cross-origin-resource-policy", "cross-origin-embedder-policy-report-only", "x-dns-prefetch-control",
                 "content-security-policy-report-only", "report-to", "reporting-endpoints", "nel", "link", "alt-svc",
                 "clear-site-data", "speculation-rules", "sourcemap", "x-sourcemap"})) {
    return true;
  }
  std::string name = field.name, value = field.value;
  for (std::string* text : {&name, &value}) {
    for (char& c : *text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  if (name.starts_with("access-control-") || name.starts_with("attribution-reporting-")) return true;
  // A policy of its own can only be stricter than ours; but its reports go where it says.
  const bool reports = value.find("report-") != std::string::npos;
  return reports && (name == "content-security-policy" || name == "cross-origin-embedder-policy" ||
                     name == "permissions-policy" || name == "document-policy");
}

// Only letters, digits and single hyphens: a second one after "xn" would mean punycode.
std::string page_name(std::string_view session) {
  std::string label;
  for (const char c : session) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (plain) {
      label += c;
    } else if (!label.empty() && label.back() != '-') {
      label += '-';
    }
  }
  while (label.ends_with('-')) label.pop_back();
  return (label.empty() ? "room" : label.substr(0, 63)) + ".localhost";
}

}  // namespace agentbox::gates::network
