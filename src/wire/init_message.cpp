#include "agentbox/wire/init_message.hpp"

#include <cstring>

// Integers in the machine's own order: both ends are one build on one machine. A string or a list is its
// length and its items.

namespace agentbox::wire {

namespace {

class Writer {
 public:
  template <class T>
    requires std::is_integral_v<T>
  void put(T value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    out_.insert(out_.end(), bytes, bytes + sizeof value);
  }
  void put(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    out_.insert(out_.end(), bytes, bytes + text.size());
  }
  void put(const std::vector<std::string>& list) {
    put(static_cast<std::uint32_t>(list.size()));
    for (const std::string& item : list) put(std::string_view(item));
  }
  [[nodiscard]] std::vector<std::byte> take() { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

// Never reads past the end: after the first short read everything is zero and empty, and `complete` is false.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <class T>
  T get() {
    T value{};
    if (rest_.size() < sizeof value) {
      fail();
      return value;
    }
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return value;
  }
  std::string text() {
    auto size = get<std::uint32_t>();
    if (rest_.size() < size) {
      fail();
      return {};
    }
    std::string value(reinterpret_cast<const char*>(rest_.data()), size);
    rest_ = rest_.subspan(size);
    return value;
  }
  std::vector<std::string> list() {
    auto count = get<std::uint32_t>();
    std::vector<std::string> items;
    while (count-- > 0 && !failed_) items.push_back(text());
    return items;
  }
  [[nodiscard]] bool complete() const { return !failed_ && rest_.empty(); }

 private:
  void fail() {
    failed_ = true;
    rest_ = {};
  }
  std::span<const std::byte> rest_;
  bool failed_ = false;
};

constexpr std::string_view malformed = "malformed message";

enum class Tag : std::uint8_t { continue_ = 1, signal, started, failed, stopped, exited };

void put_tag(Writer& out, Tag tag) {
  out.put(static_cast<std::uint8_t>(tag));
}

}  // namespace

std::vector<std::byte> encode(const Start& message) {
  Writer out;
  out.put(message.argv);
  out.put(message.environment);
  out.put(std::string_view(message.directory));
  for (std::uint64_t limit : {message.processes, message.open_files, message.file_size, message.cpu_seconds}) {
    out.put(limit);
  }
  out.put(message.terminal);
  return out.take();
}

std::expected<Start, std::string_view> decode_start(std::span<const std::byte> bytes) {
  if (bytes.size() > start_limit) return std::unexpected(malformed);
  Reader in(bytes);
  Start message;
  message.argv = in.list();
  message.environment = in.list();
  message.directory = in.text();
  for (std::uint64_t* limit : {&message.processes, &message.open_files, &message.file_size, &message.cpu_seconds}) {
    *limit = in.get<std::uint64_t>();
  }
  message.terminal = in.get<std::uint8_t>();
  if (!in.complete() || message.argv.empty() || message.terminal > 7) return std::unexpected(malformed);
  return message;
}

std::vector<std::byte> encode(const ToInit& message) {
  Writer out;
  if (const auto* signal = std::get_if<Signal>(&message)) {
    put_tag(out, Tag::signal);
    out.put(signal->number);
  } else {
    put_tag(out, Tag::continue_);
  }
  return out.take();
}

std::expected<ToInit, std::string_view> decode_to_init(std::span<const std::byte> bytes) {
  Reader in(bytes);
  auto tag = static_cast<Tag>(in.get<std::uint8_t>());
  ToInit message;
  switch (tag) {
    case Tag::continue_: break;
    case Tag::signal: message = Signal{in.get<std::int32_t>()}; break;
    default: return std::unexpected(malformed);
  }
  if (!in.complete()) return std::unexpected(malformed);
  return message;
}

std::vector<std::byte> encode(const FromInit& message) {
  Writer out;
  if (std::holds_alternative<Started>(message)) {
    put_tag(out, Tag::started);
  } else if (const auto* failed = std::get_if<Failed>(&message)) {
    put_tag(out, Tag::failed);
    out.put(static_cast<std::uint8_t>(failed->step));
    out.put(failed->error);
  } else if (const auto* stopped = std::get_if<Stopped>(&message)) {
    put_tag(out, Tag::stopped);
    out.put(stopped->signal);
  } else {
    put_tag(out, Tag::exited);
    out.put(std::get<Exited>(message).status);
  }
  return out.take();
}

std::expected<FromInit, std::string_view> decode_from_init(std::span<const std::byte> bytes) {
  Reader in(bytes);
  auto tag = static_cast<Tag>(in.get<std::uint8_t>());
  FromInit message;
  switch (tag) {
    case Tag::started: break;
    case Tag::failed: {
      auto step = in.get<std::uint8_t>();
      if (step > static_cast<std::uint8_t>(Step::execute)) return std::unexpected(malformed);
      message = Failed{static_cast<Step>(step), in.get<std::int32_t>()};
      break;
    }
    case Tag::stopped: message = Stopped{in.get<std::int32_t>()}; break;
    case Tag::exited: message = Exited{in.get<std::int32_t>()}; break;
    default: return std::unexpected(malformed);
  }
  if (!in.complete()) return std::unexpected(malformed);
  return message;
}

}  // namespace agentbox::wire
