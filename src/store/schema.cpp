#include <array>

#include "opening.hpp"

namespace agentbox::store {

namespace {

// `audit` is the chain, `head` how long it is and where it ends. `answer` is the hash of the remembered answer that the
// row adds or takes back. The triggers are a second line: they stop a slip of the hand, not who drops them first.
constexpr const char* version_1 = R"(
CREATE TABLE audit (
  number   INTEGER PRIMARY KEY,
  what     TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  session  TEXT    NOT NULL,
  profile  TEXT    NOT NULL,
  question TEXT    NOT NULL,
  kind     TEXT    NOT NULL,
  summary  TEXT    NOT NULL,
  digest   TEXT    NOT NULL,
  verdict  TEXT    NOT NULL,
  by       TEXT    NOT NULL,
  detail   TEXT    NOT NULL,
  answer   TEXT    NOT NULL,
  previous TEXT    NOT NULL,
  hash     TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_by_session ON audit (session);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;

CREATE TABLE head (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  rows INTEGER NOT NULL,
  hash TEXT    NOT NULL
) STRICT;
INSERT INTO head VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE remembered (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  profile   TEXT    NOT NULL,
  session   TEXT    NOT NULL,
  kind      TEXT    NOT NULL,
  verdict   TEXT    NOT NULL CHECK (verdict IN ('allow', 'deny')),
  breadth   TEXT    NOT NULL CHECK (breadth IN ('exact', 'pattern')),
  rule      TEXT    NOT NULL,
  shown     TEXT    NOT NULL,
  created   INTEGER NOT NULL,
  expires   INTEGER,
  added     INTEGER NOT NULL REFERENCES audit (number),
  revoked   INTEGER,
  used      INTEGER NOT NULL DEFAULT 0,
  last_used INTEGER
) STRICT;
CREATE INDEX remembered_by_profile ON remembered (profile, kind);
)";

constexpr std::array all_steps = {version_1};

}  // namespace

Steps steps() noexcept {
  return all_steps;
}

}  // namespace agentbox::store
