// Any bytes as a recipient, a rule, and the parts of a message: what is taken has one spelling, and of a message that may
// be sent a mail is written whose lines are the broker's own.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agentbox/base/recipient.hpp"
#include "agentbox/policy/messages.hpp"

#include "messages/mail.hpp"
#include "messages/posted.hpp"

namespace {

using namespace agentbox;

void need(bool condition) {
  if (!condition) std::abort();
}

void check_recipient(std::string_view bytes) {
  if (const auto one = base::parse_recipient(bytes)) {
    need(!one->text.empty() && one->text.size() <= base::most_recipient && one->text.front() != '-');
    need(std::ranges::all_of(one->text, [](char c) { return c > ' ' && c < 0x7f && c != ',' && c != '<'; }));
    const auto again = base::parse_recipient(one->text);
    need(again && *again == *one);
    need(base::recipient_covers(one->text, one->text));
  }
  if (const auto rule = base::parse_recipient_rule(bytes)) {
    const auto again = base::parse_recipient_rule(*rule);
    need(again && *again == *rule);
  }
}

// The mail's head: known names, or folded lines of them.
void check_mail(const std::string& mail) {
  constexpr std::array<std::string_view, 7> known{"Date: ",
                                                  "To: ",
                                                  "Subject: ",
                                                  "Auto-Submitted: ",
                                                  "MIME-Version: ",
                                                  "Content-Type: ",
                                                  "Content-Transfer-Encoding: "};
  std::string_view rest = mail;
  while (!rest.starts_with('\n')) {
    const std::size_t end = rest.find('\n');
    need(end != std::string_view::npos);
    const std::string_view line = rest.substr(0, end);
    need(line.starts_with(' ') ||
         std::ranges::any_of(known, [&](std::string_view name) { return line.starts_with(name); }));
    rest.remove_prefix(end + 1);
  }
  need(std::ranges::all_of(mail, [](char c) { return c == '\n' || c == '\t' || (c >= ' ' && c <= '~'); }));
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = mail.find('\n', begin)) != std::string::npos; begin = end + 1)
    need(end - begin < 998);
  need(begin == mail.size());
  need(mail.find("\n.\n") == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_recipient(bytes);
  (void)gates::messages::read_status(bytes);
  // recipient, subject, name of a file, its content, body: by NUL, which none of the texts may hold.
  std::array<std::string, 5> parts;
  std::string_view rest = bytes;
  for (std::string& part : parts) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    part = rest.substr(0, &part == &parts.back() ? rest.size() : end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const policy::Rules::Way way{.name = "email", .send = {"sendmail", "-t"}, .post = {}};
  policy::Message message{
      .backend = "email", .to = {parts[0]}, .subject = parts[1], .body = parts[4], .attachments = {}};
  if (!parts[2].empty()) message.attachments = {{.name = parts[2], .sha256 = {}, .size = parts[3].size()}};
  if (!policy::problem_of(message, way).empty()) return 0;
  check_mail(gates::messages::write_mail(message, {parts[3]}, std::chrono::sys_seconds(std::chrono::seconds(size))));
  (void)gates::messages::write_json(message, {parts[3]});
  return 0;
}
