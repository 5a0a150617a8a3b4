// The mail and the request that are written of a message: every byte, and nothing of the agent's in a header but what was
// judged.

#include "messages/mail.hpp"

#include <catch2/catch.hpp>

#include "messages/posted.hpp"

using namespace agentbox;
using namespace agentbox::gates::messages;

namespace {

const std::chrono::sys_seconds moment{std::chrono::seconds(1795341906)};  // 2026-11-22 10:05:06

policy::Message message(std::string body = "hello\n") {
  return {.backend = "email", .to = {"alice@example.org"}, .subject = "lunch", .body = std::move(body)};
}

}  // namespace

TEST_CASE("a mail is its headers, a blank line and the text") {
  CHECK(write_mail(message(), {}, moment) ==
        "Date: Sun, 22 Nov 2026 10:05:06 +0000\n"
        "To: alice@example.org\n"
        "Subject: lunch\n"
        "Auto-Submitted: auto-generated\n"
        "MIME-Version: 1.0\n"
        "Content-Type: text/plain; charset=UTF-8\n"
        "Content-Transfer-Encoding: quoted-printable\n"
        "\n"
        "hello\n");
}

TEST_CASE("several recipients stand a line each, and no subject is no header") {
  policy::Message several = message();
  several.to = {"a@example.org", "b@example.org"};
  several.subject.clear();
  const std::string mail = write_mail(several, {}, moment);
  CHECK(mail.find("To: a@example.org,\n b@example.org\nAuto-Submitted:") != std::string::npos);
  CHECK(mail.find("Subject") == std::string::npos);
}

TEST_CASE("attachments are base64, behind a line that no part can hold") {
  policy::Message with = message("--=_agentbox\n--=_agentbox--\n");
  with.attachments = {{.name = "a b.txt", .sha256 = {}, .size = 3},
                      {.name = "\u00e9\u4e2d.pdf", .sha256 = {}, .size = 0}};
  const std::string mail = write_mail(with, {"\r\n--=_agentbox", ""}, moment);
  CHECK(
      mail.ends_with("Content-Type: multipart/mixed; boundary=\"=_agentbox\"\n\n"
                     "--=_agentbox\n"
                     "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: quoted-printable\n\n"
                     "--=3D_agentbox\n--=3D_agentbox--\n"
                     "\n--=_agentbox\n"
                     "Content-Type: application/octet-stream\nContent-Disposition: attachment;\n filename=\"a b.txt\"\n"
                     "Content-Transfer-Encoding: base64\n\n"
                     "DQotLT1fYWdlbnRib3g=\n"
                     "\n--=_agentbox\n"
                     "Content-Type: application/octet-stream\nContent-Disposition: attachment;\n"
                     " filename*=UTF-8''%C3%A9%E4%B8%AD.pdf\n"
                     "Content-Transfer-Encoding: base64\n\n"
                     "\n--=_agentbox--\n"));
}

TEST_CASE("base64 is that of RFC 4648") {
  CHECK(base64("") == "");
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foob") == "Zm9vYg==");
  CHECK(base64("\xff\xfe\x00x") == "//4=");
  CHECK(base64(std::string_view("\0\0\0", 3)) == "AAAA");
}

TEST_CASE("quoted-printable keeps every byte, and nothing that mail takes for its own") {
  CHECK(quoted_printable("") == "");
  CHECK(quoted_printable("a\nb\n") == "a\nb\n");
  CHECK(quoted_printable("a") == "a=\n");
  CHECK(quoted_printable("a=b") == "a=3Db=\n");
  CHECK(quoted_printable("\u00e9\n") == "=C3=A9\n");
  CHECK(quoted_printable(".\n..\na.\n") == "=2E\n=2E.\na.\n");
  CHECK(quoted_printable("From me\nFroma\n") == "=46rom me\nFroma\n");
  CHECK(quoted_printable("a \nb\t\n \n") == "a=20\nb=09\n=20\n");
  CHECK(quoted_printable("a b") == "a b=\n");
  CHECK(quoted_printable("a\rb\n") == "a=0Db\n");
  const std::string encoded = quoted_printable(std::string(200, 'x') + "\n");
  CHECK(encoded == std::string(75, 'x') + "=\n" + std::string(75, 'x') + "=\n" + std::string(50, 'x') + "\n");
  // A piece that begins anew is judged as a beginning.
  CHECK(quoted_printable(std::string(75, 'x') + ".y\n") == std::string(75, 'x') + "=\n=2Ey\n");
}

TEST_CASE("a subject that is not plain is encoded words, cut between characters") {
  CHECK(header_text("lunch at 12: yes?") == "lunch at 12: yes?");
  CHECK(header_text("=?UTF-8?B?eA==?=") == "=?UTF-8?B?PT9VVEYtOD9CP2VBPT0/PQ==?=");
  CHECK(header_text("\u00e9") == "=?UTF-8?B?w6k=?=");
  std::string lengthy;
  for (int i = 0; i < 60; ++i) lengthy += "\u4e2d";
  const std::string encoded = header_text(lengthy);
  std::string_view rest = encoded;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    CHECK(line.size() <= 76);
    CHECK((line.starts_with("=?UTF-8?B?") || line.starts_with(" =?UTF-8?B?")));
    CHECK(line.ends_with("?="));
    CHECK((line.size() - line.find("B?") - 4) % 4 == 0);  // whole characters of 3 bytes need no padding
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
}

TEST_CASE("what is posted is JSON of the broker's own, whatever the text says") {
  policy::Message posted = message("a\"},{\n\u00e9");
  posted.attachments = {{.name = "x.bin", .sha256 = {}, .size = 1}};
  CHECK(write_json(posted, {"\xff"}) ==
        "{\"to\":[\"alice@example.org\"],\"subject\":\"lunch\",\"body\":\"a\\\"},{\\n\u00e9\","
        "\"attachments\":[{\"name\":\"x.bin\",\"base64\":\"/w==\"}]}");
  CHECK(write_request({.text = {}, .host = "127.0.0.1", .port = 6000, .path = "/send?a=b"}, "{}") ==
        "POST /send?a=b HTTP/1.1\r\nHost: 127.0.0.1:6000\r\nUser-Agent: agentbox\r\nContent-Type: application/json\r\n"
        "Content-Length: 2\r\nConnection: close\r\n\r\n{}");
  CHECK(write_request({.text = {}, .host = "::1", .port = 1, .path = "/"}, "").find("Host: [::1]:1\r\n") !=
        std::string::npos);
}

TEST_CASE("of an answer the status is read, and nothing is guessed") {
  using Is = Status::Is;
  auto is = [](std::string_view answer) { return read_status(answer).is; };
  CHECK(read_status("HTTP/1.1 200 OK\r\n").code == 200);
  CHECK(read_status("HTTP/1.0 503\r\nX: y\r\n").code == 503);
  CHECK(read_status("HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 201 Created\r\n").code == 201);
  for (std::string_view answer : {"", "H", "HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r", "HTTP/1.1 100 Continue\r\n",
                                  "HTTP/1.1 100 Continue\r\n\r\n"}) {
    INFO(answer);
    CHECK(is(answer) == Is::unfinished);
  }
  for (std::string_view answer :
       {"x", "HTTP/2 200 OK\r\n", "HTTP/1.1 20 OK\r\n", "HTTP/1.1 2000\r\n", "HTTP/1.1 600 X\r\n", "HTTP/1.1 099 X\r\n",
        "HTTP/1.1  200\r\n", "HTTP/1.x 200 OK\r\n", "220 mail ESMTP\r\n"}) {
    INFO(answer);
    CHECK(is(answer) == Is::nonsense);
  }
  CHECK(is("HTTP/1.1 200 " + std::string(most_answer, 'x')) == Is::nonsense);
}
