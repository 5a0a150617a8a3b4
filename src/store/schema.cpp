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

// `used` is what budgets count: one row for each deed, whatever its kind. A session that is over has left its name there
// (ids of sessions come again). `payment` is the ledger; a key is taken for as long as it was paid or may have been.
// `reached` are those whom a profile has sent something with a yes or a rule: who is not there is a stranger.
// `budget` is how each was written when it was last taken from: only for showing it. `clock`: see Taking::now.
constexpr const char* version_2 = R"(
CREATE TABLE used (
  id      INTEGER PRIMARY KEY,
  profile TEXT    NOT NULL,
  session TEXT    NOT NULL,
  kind    TEXT    NOT NULL,
  subject TEXT    NOT NULL,
  unit    TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  amount  INTEGER NOT NULL CHECK (amount >= 0),
  state   TEXT    NOT NULL CHECK (state IN ('reserved', 'done'))
) STRICT;
CREATE INDEX used_by_profile ON used (profile, kind, at);
CREATE INDEX used_by_session ON used (session) WHERE session <> '';

CREATE TABLE payment (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  use       INTEGER REFERENCES used (id),
  profile   TEXT    NOT NULL,
  session   TEXT    NOT NULL,
  question  TEXT    NOT NULL,
  key       TEXT    NOT NULL,
  amount    INTEGER NOT NULL CHECK (amount > 0),
  currency  TEXT    NOT NULL,
  recipient TEXT    NOT NULL,
  memo      TEXT    NOT NULL,
  state     TEXT    NOT NULL CHECK (state IN ('reserved', 'unknown', 'paid', 'not_paid')),
  reserved  INTEGER NOT NULL,
  ended     INTEGER,
  note      TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX payment_by_key ON payment (profile, key) WHERE state <> 'not_paid';
CREATE INDEX payment_by_time ON payment (reserved);
CREATE INDEX payment_open ON payment (state) WHERE state IN ('reserved', 'unknown');
CREATE TRIGGER payment_no_delete BEFORE DELETE ON payment
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE budget (
  profile       TEXT    NOT NULL,
  name          TEXT    NOT NULL,
  kind          TEXT    NOT NULL,
  counts        TEXT    NOT NULL CHECK (counts IN ('amount', 'times')),
  per_subject   INTEGER NOT NULL CHECK (per_subject IN (0, 1)),
  text          TEXT    NOT NULL,
  unit          TEXT    NOT NULL,
  amount        INTEGER NOT NULL,
  period        TEXT    NOT NULL CHECK (period IN ('session', 'minute', 'hour', 'day')),
  every         INTEGER NOT NULL,
  origin_file   TEXT    NOT NULL,
  origin_line   INTEGER NOT NULL,
  origin_column INTEGER NOT NULL,
  PRIMARY KEY (profile, name)
) STRICT;

CREATE TABLE reached (
  profile TEXT    NOT NULL,
  kind    TEXT    NOT NULL,
  name    TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (profile, kind, name)
) STRICT;

CREATE TABLE clock (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  latest INTEGER NOT NULL
) STRICT;
INSERT INTO clock VALUES (1, 0);
)";

constexpr std::array all_steps = {version_1, version_2};

}  // namespace

Steps steps() noexcept {
  return all_steps;
}

}  // namespace agentbox::store
