#include "moment.hpp"

#include <charconv>
#include <ctime>

#include <fmt/format.h>

namespace agentbox::cli {

using std::chrono::milliseconds;
using std::chrono::seconds;
using store::Time;

namespace {

// Takes from the front of a text what fits, and remembers whether everything did.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  // Exactly so many digits.
  int digits(std::size_t count) {
    int value = 0;
    if (rest_.size() < count) return refuse();
    for (char c : rest_.substr(0, count)) {
      if (c < '0' || c > '9') return refuse();
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(count);
    return value;
  }
  bool take(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void need(char wanted) {
    if (!take(wanted)) refuse();
  }
  // The thousandths of "250", "25", "250123"; the dot is gone.
  int fraction() {
    int value = 0, scale = 100;
    if (rest_.empty() || rest_.front() < '0' || rest_.front() > '9') return refuse();
    for (; !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; rest_.remove_prefix(1), scale /= 10) {
      value += scale * (rest_.front() - '0');
    }
    return value;
  }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] bool good() const { return good_; }
  int refuse() {
    good_ = false;
    return 0;
  }

 private:
  std::string_view rest_;
  bool good_ = true;
};

enum class Zone { local, utc };

// Nothing for what the calendar or the clock doesn't have: 30 February, 25:00.
std::optional<Time> time_of(std::tm parts, Zone zone) {
  std::tm asked = parts;
  parts.tm_isdst = -1;
  std::time_t when = zone == Zone::utc ? ::timegm(&parts) : std::mktime(&parts);
  if (asked.tm_mday != parts.tm_mday || asked.tm_mon != parts.tm_mon || asked.tm_year != parts.tm_year) return {};
  if (asked.tm_hour > 23 || asked.tm_min > 59 || asked.tm_sec > 60) return {};
  return Time(seconds(when));
}

std::optional<Time> ago(std::string_view text, Time now) {
  std::int64_t count = 0;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (problem != std::errc{} || end + 1 != text.data() + text.size() || count < 0 || count > 1'000'000'000) return {};
  switch (*end) {
    case 's': return now - seconds(count);
    case 'm': return now - std::chrono::minutes(count);
    case 'h': return now - std::chrono::hours(count);
    case 'd': return now - std::chrono::days(count);
    case 'w': return now - std::chrono::weeks(count);
    default: return {};
  }
}

std::tm local_parts(Time time) {
  std::time_t when = std::chrono::floor<seconds>(time).time_since_epoch().count();
  std::tm parts = {};
  ::localtime_r(&when, &parts);
  return parts;
}

std::optional<Time> midnight(Time now, int days_before) {
  std::tm parts = local_parts(now);
  std::tm day = {};
  day.tm_year = parts.tm_year;
  day.tm_mon = parts.tm_mon;
  day.tm_mday = parts.tm_mday - days_before;
  day.tm_isdst = -1;
  return Time(seconds(std::mktime(&day)));
}

std::optional<Time> calendar(std::string_view text) {
  Reader reader(text);
  std::tm parts = {};
  parts.tm_year = reader.digits(4) - 1900;
  reader.need('-');
  parts.tm_mon = reader.digits(2) - 1;
  reader.need('-');
  parts.tm_mday = reader.digits(2);
  if (!reader.good()) return {};
  if (reader.at_end()) return time_of(parts, Zone::local);
  if (!reader.take('T') && !reader.take('t') && !reader.take(' ')) return {};
  parts.tm_hour = reader.digits(2);
  reader.need(':');
  parts.tm_min = reader.digits(2);
  milliseconds beyond{};
  if (reader.take(':')) {
    parts.tm_sec = reader.digits(2);
    if (reader.take('.')) beyond = milliseconds(reader.fraction());
  }
  Zone zone = Zone::local;
  if (reader.take('Z') || reader.take('z')) {
    zone = Zone::utc;
  } else if (bool east = reader.take('+'); east || reader.take('-')) {
    zone = Zone::utc;
    const int hours = reader.digits(2);
    reader.need(':');
    const int minutes = reader.digits(2);
    if (hours > 23 || minutes > 59) return {};
    beyond -= (east ? 1 : -1) * std::chrono::minutes(60 * hours + minutes);
  }
  if (!reader.good() || !reader.at_end()) return {};
  std::optional<Time> time = time_of(parts, zone);
  return time ? std::optional(*time + beyond) : std::nullopt;
}

}  // namespace

Time now() {
  return std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
}

std::optional<Time> parse_moment(std::string_view text, Time now) {
  if (text == "today") return midnight(now, 0);
  if (text == "yesterday") return midnight(now, 1);
  if (std::optional<Time> time = ago(text, now)) return time;
  return calendar(text);
}

std::string local_second(Time time) {
  return fmt::format("{}:{:02}", local_minute(time), local_parts(time).tm_sec);
}

std::string local_minute(Time time) {
  std::tm parts = local_parts(time);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min);
}

std::string zone_of(Time time) {
  const std::tm parts = local_parts(time);
  return parts.tm_zone != nullptr ? parts.tm_zone : "";
}

std::string rfc3339(Time time) {
  const auto second = std::chrono::floor<seconds>(time);
  std::time_t when = second.time_since_epoch().count();
  std::tm parts = {};
  ::gmtime_r(&when, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (time - second).count());
}

}  // namespace agentbox::cli
