// Sizes, durations and budgets. Integers only; what would overflow is an error, never a smaller number.

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "agentbox/base/escape.hpp"
#include "agentbox/profile/parse.hpp"

#include "values.hpp"

namespace agentbox::profile {

namespace {

constexpr std::uint64_t most =
    std::numeric_limits<std::int64_t>::max();  // of bytes and of money: both are signed elsewhere
constexpr std::int64_t longest = 3650LL * 24 * 3600;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view take_digits(std::string_view& text) {
  std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  std::string_view digits = text.substr(0, end);
  text.remove_prefix(end);
  return digits;
}

std::optional<std::uint64_t> to_number(std::string_view digits) {
  std::uint64_t value = 0;
  for (char c : digits) {
    if (value > (most - static_cast<std::uint64_t>(c - '0')) / 10) return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return out;
}

std::string_view skip_blank(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  return text;
}

// ---- sizes
// -----------------------------------------------------------------------------------------------------

std::optional<unsigned> shift_of(std::string_view unit) {
  std::string name = upper(unit);
  if (name == "B") return 0;
  if (name.ends_with("IB")) {
    name.resize(name.size() - 2);
  } else if (name.ends_with("B")) {
    name.resize(name.size() - 1);
  }
  if (name.size() != 1) return std::nullopt;
  std::size_t place = std::string_view("KMGT").find(name[0]);
  if (place == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned>(10 * (place + 1));
}

// ---- periods
// ---------------------------------------------------------------------------------------------------

struct PeriodName {
  std::string_view name;
  Period period;
  std::int64_t seconds;
};
constexpr std::array periods{PeriodName{"session", Period::session, 0}, PeriodName{"min", Period::minute, 60},
                             PeriodName{"minute", Period::minute, 60},  PeriodName{"hour", Period::hour, 3600},
                             PeriodName{"h", Period::hour, 3600},       PeriodName{"day", Period::day, 86400},
                             PeriodName{"d", Period::day, 86400}};

// Behind the '/': "day", "10min". Appends its canonical form to the budget's text.
Parsed<bool> take_period(std::string_view text, std::string_view part, Budget& budget) {
  std::string_view name = part;
  std::string_view digits = take_digits(name);
  auto known = std::ranges::find(periods, name, &PeriodName::name);
  if (known == periods.end() || (!digits.empty() && known->period == Period::session)) {
    std::vector<std::string_view> names{"session", "minute", "hour", "day"};
    std::string_view near = base::nearest(name, names);
    return fault_at(text, part.empty() ? text : part,
                    "the period is session, minute, hour, day or a time such as '10min'",
                    near.empty() ? std::string() : fmt::format("did you mean '{}'?", near));
  }
  budget.period = known->period;
  static constexpr std::array<std::string_view, 4> canonical{"session", "min", "hour", "day"};
  std::string_view written = canonical[static_cast<std::size_t>(known->period)];
  if (digits.empty() || digits == "1") {
    budget.text += fmt::format("/{}", written);
    return true;
  }
  std::optional<std::uint64_t> count = to_number(digits);
  if (!count || *count == 0 || *count > static_cast<std::uint64_t>(longest / known->seconds)) {
    return fault_at(text, part, "this period is not between a minute and ten years");
  }
  budget.every = std::chrono::seconds(static_cast<std::int64_t>(*count) * known->seconds);
  budget.text += fmt::format("/{}{}", *count, written);
  return true;
}

struct Halves {
  std::string_view amount;
  std::optional<std::string_view> period;
};
Halves halves(std::string_view text) {
  std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return {.amount = text};
  std::string_view amount = text.substr(0, slash);
  while (amount.ends_with(' ')) amount.remove_suffix(1);
  return {.amount = amount, .period = skip_blank(text.substr(slash + 1))};
}

Parsed<Budget> with_period(std::string_view text, const Halves& parts, Budget budget, std::string_view example) {
  if (!parts.period) return fault("the period is missing", fmt::format("write '{}'", example));
  if (Parsed<bool> period = take_period(text, *parts.period, budget); !period) return std::unexpected(period.error());
  return budget;
}

// ---- money
// -----------------------------------------------------------------------------------------------------

// ISO 4217, the currencies in use (2024). Two decimals but where said otherwise.
constexpr std::string_view currencies =
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD "
    "CDF CHF CLP "
    "CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL "
    "HTG HUF IDR "
    "ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA "
    "MKD MMK MNT "
    "MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB "
    "RWF SAR SBD "
    "SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU "
    "UZS VED VES "
    "VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG";
constexpr std::string_view without_decimals = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
constexpr std::string_view three_decimals = "BHD IQD JOD KWD LYD OMR TND";

bool is_currency(std::string_view code) {
  return code.size() == 3 && code.find(' ') == std::string_view::npos &&
         currencies.find(code) != std::string_view::npos;
}

// Integers all the way: 12 and "5" of USD are 1250.
Parsed<std::int64_t> minor_units(std::string_view text, std::string_view part, std::string_view whole,
                                 std::string_view fraction, std::string_view code) {
  const std::size_t decimals = decimals_of(code);
  if (fraction.size() > decimals) {
    return fault_at(text, part,
                    fmt::format("{} has {} decimals", code, decimals == 0 ? "no" : std::to_string(decimals)));
  }
  std::string digits = std::string(whole) + std::string(fraction) + std::string(decimals - fraction.size(), '0');
  std::optional<std::uint64_t> minor = to_number(digits);
  if (!minor) return fault_at(text, part, "this amount is too large to count");
  return static_cast<std::int64_t>(*minor);
}

Parsed<Budget> amount_of_money(std::string_view text, std::string_view part) {
  std::string_view rest = part;
  std::string_view whole = take_digits(rest);
  if (whole.empty()) return fault("an amount of money is a number and a currency, such as '25 USD'");
  std::string_view fraction;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    fraction = take_digits(rest);
    if (fraction.empty()) return fault_at(text, part, "digits must follow the '.'");
  }
  std::string_view code = skip_blank(rest);
  if (!is_currency(code)) {
    std::string big = upper(code);
    return fault_at(text, code.empty() ? text : code,
                    code.empty() ? "the currency is missing" : fmt::format("unknown currency '{}'", base::escape(code)),
                    is_currency(big) ? fmt::format("did you mean '{}'?", big) : "an ISO 4217 code, such as USD or EUR");
  }
  Parsed<std::int64_t> minor = minor_units(text, part, whole, fraction, code);
  if (!minor) return std::unexpected(minor.error());
  std::string shown = std::to_string(*to_number(whole));
  if (fraction.find_first_not_of('0') != std::string_view::npos) {
    shown += "." + std::string(fraction) + std::string(decimals_of(code) - fraction.size(), '0');
  }
  return Budget{.text = fmt::format("{} {}", shown, code), .amount = *minor, .unit = std::string(code)};
}

Parsed<std::int64_t> payment_amount(std::string_view text, std::string_view currency) {
  if (!is_currency(currency)) {
    return fault(fmt::format("unknown currency '{}'", base::escape(currency)), "an ISO 4217 code, such as USD or EUR");
  }
  std::string_view rest = text;
  std::string_view whole = take_digits(rest);
  std::string_view fraction;
  const bool has_dot = rest.starts_with('.');
  if (has_dot) {
    rest.remove_prefix(1);
    fraction = take_digits(rest);
  }
  if (whole.empty() || !rest.empty() || (has_dot && fraction.empty())) {
    return fault(fmt::format("'{}' is no amount", base::escape(text.substr(0, 40))),
                 "digits, and decimals after a '.', such as 12.50; no sign, no exponent, no separators");
  }
  if (whole.size() > 1 && whole.starts_with('0')) return fault("an amount begins with no needless 0");
  Parsed<std::int64_t> minor = minor_units(text, text, whole, fraction, currency);
  if (minor && *minor == 0) return fault("an amount is more than 0");
  return minor;
}

}  // namespace

std::size_t decimals_of(std::string_view currency) noexcept {
  if (!is_currency(currency)) return 2;
  if (without_decimals.find(currency) != std::string_view::npos) return 0;
  return three_decimals.find(currency) != std::string_view::npos ? 3 : 2;
}

std::string amount_text(std::int64_t amount, std::string_view currency) {
  const std::size_t decimals = decimals_of(currency);
  if (decimals == 0) return std::to_string(amount);
  const std::uint64_t one = decimals == 3 ? 1000 : 100;
  const std::uint64_t size =
      amount < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(amount) : static_cast<std::uint64_t>(amount);
  return fmt::format("{}{}.{:0{}}", amount < 0 ? "-" : "", size / one, size % one, decimals);
}

base::Result<std::int64_t> parse_amount(std::string_view text, std::string_view currency) {
  Parsed<std::int64_t> minor = payment_amount(text, currency);
  if (!minor) return base::fail(minor.error().message, minor.error().hint);
  return *minor;
}

Parsed<std::uint64_t> size(std::string_view text) {
  std::string_view rest = text;
  std::string_view digits = take_digits(rest);
  if (digits.empty()) return fault("a size is a number and a unit, such as '20G'");
  if (rest.starts_with('.') || rest.starts_with(',')) {
    return fault("a size has no fraction", "use the next smaller unit: '1536M' is one and a half G");
  }
  std::string_view unit = skip_blank(rest);
  if (unit.empty())
    return fault("the size's unit is missing", fmt::format("'{}B' is bytes; K, M, G and T count by 1024", digits));
  std::optional<unsigned> shift = shift_of(unit);
  if (!shift)
    return fault_at(text, unit, fmt::format("unknown unit '{}'", base::escape(unit)),
                    "B, K, M, G and T are known; they count by 1024");
  std::optional<std::uint64_t> value = to_number(digits);
  if (!value || *value > (most >> *shift)) return fault("this size is too large to count", "the most is 8388607T");
  if (*value == 0) return fault("a size of zero is no useful limit");
  return *value << *shift;
}

Parsed<std::chrono::seconds> duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    std::int64_t seconds;
  };
  static constexpr std::array units{Unit{"d", 86400}, Unit{"h", 3600}, Unit{"min", 60}, Unit{"m", 60}, Unit{"s", 1}};
  if (text.empty()) return fault("a time is a number and a unit, such as '90s' or '1h30m'");
  std::string_view rest = text;
  std::int64_t total = 0;
  std::int64_t before = std::numeric_limits<std::int64_t>::max();
  while (!rest.empty()) {
    std::string_view digits = take_digits(rest);
    if (digits.empty()) return fault_at(text, rest, "a time is a number and a unit, such as '90s' or '1h30m'");
    rest = skip_blank(rest);
    std::size_t end = 0;
    while (end < rest.size() && !is_digit(rest[end]) && rest[end] != ' ') ++end;
    std::string_view name = rest.substr(0, end);
    auto unit = std::ranges::find(units, name, &Unit::name);
    if (name.empty())
      return fault("the time's unit is missing", fmt::format("'{}s' is seconds, '{}m' minutes", digits, digits));
    if (unit == units.end())
      return fault_at(text, name, fmt::format("unknown unit '{}'", base::escape(name)), "d, h, m and s are known");
    if (unit->seconds >= before) return fault_at(text, name, "units go from the largest to the smallest, each once");
    before = unit->seconds;
    std::optional<std::uint64_t> value = to_number(digits);
    if (!value || *value > static_cast<std::uint64_t>(longest / unit->seconds))
      return fault("this is longer than ten years");
    total += static_cast<std::int64_t>(*value) * unit->seconds;
    rest = skip_blank(rest.substr(end));
  }
  if (total > longest) return fault("this is longer than ten years");
  if (total == 0) return fault("a time of zero is no useful limit");
  return std::chrono::seconds(total);
}

Parsed<Budget> count_budget(std::string_view text) {
  Halves parts = halves(text);
  std::string_view rest = parts.amount;
  std::string_view digits = take_digits(rest);
  if (digits.empty() || !rest.empty()) return fault("a count is a number and a period, such as '20/day'");
  std::optional<std::uint64_t> value = to_number(digits);
  if (!value) return fault_at(text, parts.amount, "this number is too large to count");
  return with_period(text, parts, {.text = std::to_string(*value), .amount = static_cast<std::int64_t>(*value)},
                     fmt::format("{}/day", *value));
}

Parsed<Budget> bytes_budget(std::string_view text) {
  Halves parts = halves(text);
  Parsed<std::uint64_t> value = size(parts.amount);
  if (!value) return std::unexpected(value.error());
  std::string_view unit = parts.amount;
  std::string_view digits = take_digits(unit);
  unit = skip_blank(unit);
  std::string shown = fmt::format("{}{}", *to_number(digits), upper(unit.substr(0, 1)));
  return with_period(text, parts, {.text = shown, .amount = static_cast<std::int64_t>(*value), .unit = "B"},
                     shown + "/session");
}

Parsed<Budget> money_budget(std::string_view text) {
  Halves parts = halves(text);
  Parsed<Budget> budget = amount_of_money(text, parts.amount);
  if (!budget) return budget;
  std::string example = budget->text + "/day";
  return with_period(text, parts, std::move(*budget), example);
}

Parsed<Budget> money(std::string_view text) {
  Halves parts = halves(text);
  if (parts.period) return fault_at(text, *parts.period, "this is the limit of one payment: it has no period");
  return amount_of_money(text, text);
}

}  // namespace agentbox::profile
