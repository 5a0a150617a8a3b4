#include "tls.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <climits>

#include "agentbox/base/escape.hpp"

namespace agentbox::broker {

namespace {

constexpr const char* file = AGENTBOX_SSL_LIBRARY;

struct Library {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a member's name
#define AGENTBOX_SSL(name) decltype(&::name) name = nullptr;
#include "tls_functions.inc"
#undef AGENTBOX_SSL
};

template <class T>
struct Free;
template <>
struct Free<SSL_CTX> {
  const Library* of = nullptr;
  void operator()(SSL_CTX* context) const noexcept { of->SSL_CTX_free(context); }
};
template <>
struct Free<SSL> {
  const Library* of = nullptr;
  void operator()(SSL* connection) const noexcept { of->SSL_free(connection); }
};

// The library, and what all connections share: roots are read once.
struct Loaded {
  Library functions;
  std::unique_ptr<SSL_CTX, Free<SSL_CTX>> context;
  std::string problem;  // empty: it can be used
};

std::string load(Library& functions) {
  // Never unloaded: it has handlers that run at exit.
  void* handle = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = ::dlerror();  // NOLINT(concurrency-mt-unsafe): of this thread
    return why == nullptr ? "no reason given" : base::escape(std::string_view(why));
  }
  void* address = nullptr;
#define AGENTBOX_SSL(name)                                                                \
  address = ::dlsym(handle, #name);                                                       \
  if (address == nullptr) return base::escape(std::string_view(file)) + " has no " #name; \
  functions.name = reinterpret_cast<decltype(functions.name)>(address);
#include "tls_functions.inc"
#undef AGENTBOX_SSL
  return {};
}

Loaded open_library() {
  Loaded loaded{.functions = {}, .context = {}, .problem = {}};
  loaded.problem = load(loaded.functions);
  return loaded;
}

const Loaded& loaded() {
  static Loaded all = open_library();
  if (!all.problem.empty() || all.context) return all;
  const Library& ssl = all.functions;
  all.context = {ssl.SSL_CTX_new(ssl.TLS_client_method()), {&ssl}};
  if (!all.context ||
      ssl.SSL_CTX_ctrl(all.context.get(), SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, nullptr) != 1 ||
      ssl.SSL_CTX_set_default_verify_paths(all.context.get()) != 1) {
    ssl.ERR_clear_error();
    all.context.reset();
    all.problem = "OpenSSL can't be set up";
    return all;
  }
  ssl.SSL_CTX_set_verify(all.context.get(), SSL_VERIFY_PEER, nullptr);
  return all;
}

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

}  // namespace

class Tls::Impl {
 public:
  Impl(const Library& ssl, SSL* connection) : ssl_(ssl), connection_(connection, {&ssl}) {}

  // The connection owns both afterwards.
  bool set_up(const std::string& host) {
    in_ = ssl_.BIO_new(ssl_.BIO_s_mem());
    out_ = ssl_.BIO_new(ssl_.BIO_s_mem());
    if (in_ == nullptr || out_ == nullptr) {
      ssl_.BIO_free(in_);
      ssl_.BIO_free(out_);
      return false;
    }
    // An empty one is not the end: the next bytes are on their way.
    ssl_.BIO_ctrl(in_, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, nullptr);
    ssl_.SSL_set_bio(connection_.get(), in_, out_);
    ssl_.SSL_set_connect_state(connection_.get());
    ssl_.SSL_set_hostflags(connection_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (ssl_.SSL_set1_host(connection_.get(), host.c_str()) != 1) return false;
    if (is_address(host)) return true;
    std::string name = host;
    return ssl_.SSL_ctrl(connection_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) == 1;
  }

  void take(std::string_view wire) {
    while (!wire.empty() && !broken_) {
      const int count = ssl_.BIO_write(in_, wire.data(), static_cast<int>(std::min<std::size_t>(wire.size(), INT_MAX)));
      broken_ = count <= 0;
      if (!broken_) wire.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  State go_on(std::string& heard, std::string& problem) {
    if (broken_) {
      problem = "TLS with its server has no memory";
      return State::wrong;
    }
    ssl_.ERR_clear_error();
    if (!greeted_) {
      const int done = ssl_.SSL_do_handshake(connection_.get());
      if (done != 1) return after(done, problem);
      // The handshake has failed already if it is anything else; this is the line that must never be passed without it.
      if (ssl_.SSL_get_verify_result(connection_.get()) != X509_V_OK) return wrong(problem);
      greeted_ = true;
    }
    if (!text_.empty()) {
      const int count = ssl_.SSL_write(connection_.get(), text_.data(), static_cast<int>(text_.size()));
      if (count <= 0) return after(count, problem);
      text_.clear();  // without partial writes it takes all or nothing
    }
    for (;;) {
      const int count = ssl_.SSL_read(connection_.get(), buffer_.data(), static_cast<int>(buffer_.size()));
      if (count <= 0) return after(count, problem);
      heard.append(buffer_.data(), static_cast<std::size_t>(count));
    }
  }

  void drain(std::string& wire) {
    while (ssl_.BIO_ctrl_pending(out_) > 0) {
      const int count = ssl_.BIO_read(out_, buffer_.data(), static_cast<int>(buffer_.size()));
      if (count <= 0) return;
      wire.append(buffer_.data(), static_cast<std::size_t>(count));
    }
  }

  void say(std::string text) { text_ = std::move(text); }

 private:
  State after(int result, std::string& problem) {
    const int error = ssl_.SSL_get_error(connection_.get(), result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return State::more;
    if (error == SSL_ERROR_ZERO_RETURN && greeted_) return State::closed;
    return wrong(problem);
  }

  State wrong(std::string& problem) {
    const long verdict = ssl_.SSL_get_verify_result(connection_.get());
    if (verdict != X509_V_OK) {
      problem = "its server does not prove who it is: " +
                base::escape(std::string_view(ssl_.X509_verify_cert_error_string(verdict)));
    } else {
      const char* why = ssl_.ERR_reason_error_string(ssl_.ERR_peek_error());
      problem = "TLS with its server fails";
      if (why != nullptr) problem += ": " + base::escape(std::string_view(why));
    }
    ssl_.ERR_clear_error();
    return State::wrong;
  }

  const Library& ssl_;
  std::unique_ptr<SSL, Free<SSL>> connection_;
  BIO *in_ = nullptr, *out_ = nullptr;  // the connection's
  std::string text_;                    // that is to be said
  std::array<char, 16384> buffer_{};
  bool greeted_ = false, broken_ = false;
};

std::expected<std::unique_ptr<Tls>, std::string> Tls::to(const std::string& host) {
  const Loaded& all = loaded();
  if (!all.problem.empty()) return std::unexpected("there is no TLS on this machine: " + all.problem);
  SSL* connection = all.functions.SSL_new(all.context.get());
  if (connection == nullptr) return std::unexpected("there is no memory for TLS");
  auto impl = std::make_unique<Impl>(all.functions, connection);
  if (!impl->set_up(host)) {
    all.functions.ERR_clear_error();
    return std::unexpected("TLS can't be set up for its server's name");
  }
  return std::unique_ptr<Tls>(new Tls(std::move(impl)));
}

Tls::Tls(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tls::~Tls() = default;

void Tls::say(std::string text) {
  impl_->say(std::move(text));
}
void Tls::take(std::string_view wire) {
  impl_->take(wire);
}
Tls::State Tls::go_on(std::string& heard, std::string& wire) {
  const State state = impl_->go_on(heard, problem_);
  impl_->drain(wire);
  return state;
}

}  // namespace agentbox::broker
