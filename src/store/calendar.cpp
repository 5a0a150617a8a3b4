// Where the user's day begins. The C library knows the time zone; its mktime(3) is of no use here, since it says anything
// for a midnight that the calendar leaves out or has twice.

#include <array>
#include <ctime>

#include "agentbox/store/ledger.hpp"

namespace agentbox::store {

namespace {

using std::chrono::seconds;

// Longer than any day, with both changes of a clock in it.
constexpr std::time_t span = 50 * 3600;

std::tm local(std::time_t when) {
  std::tm parts = {};
  ::localtime_r(&when, &parts);
  return parts;
}

// A number that grows with the date.
long date_of(std::time_t when) {
  const std::tm parts = local(when);
  return (parts.tm_year * 12L + parts.tm_mon) * 31L + parts.tm_mday;
}

// The first second between the two whose date is `date` or later; `late` has it.
std::time_t first_of(long date, std::time_t early, std::time_t late) {
  while (late - early > 1) {
    const std::time_t middle = early + (late - early) / 2;
    (date_of(middle) < date ? early : late) = middle;
  }
  return late;
}

}  // namespace

policy::Day day_of(Time time) {
  ::tzset();
  const std::time_t now = std::chrono::floor<seconds>(time).time_since_epoch().count();
  const long date = date_of(now);
  return {.begins = Time(seconds(first_of(date, now - span, now))),
          .ends = Time(seconds(first_of(date + 1, now, now + span)))};
}

std::string local_text(Time time) {
  ::tzset();
  const std::tm parts = local(std::chrono::floor<seconds>(time).time_since_epoch().count());
  std::array<char, 80> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M %Z", &parts)};
}

}  // namespace agentbox::store
