-- A record as agentbox 0.2 wrote it, version 1. It stays as it is for as long as such files exist.
PRAGMA application_id=1633841016;
PRAGMA user_version=1;
BEGIN TRANSACTION;
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
INSERT INTO "audit" VALUES(1,'session_began',1700000000000,'pi-0001','pi','','','','','','','{"workspace":"/home/u/project"}','','0000000000000000000000000000000000000000000000000000000000000000','af3788b40315ab6522e79279b1a7e9da9a53f0f0165f0c22d78dbcbc091a2ec7');
INSERT INTO "audit" VALUES(2,'request',1700000000500,'pi-0001','pi','q1','command','git push origin main','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','','','{"argv":["git","push","origin","main"]}','','af3788b40315ab6522e79279b1a7e9da9a53f0f0165f0c22d78dbcbc091a2ec7','89f46cfc5b6ba01cf3f1e8141b18877780a08e7abd78af37c9a1d32a155e1d65');
INSERT INTO "audit" VALUES(3,'verdict',1700000000900,'pi-0001','pi','q1','command','git push origin main','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','allow','human','','','89f46cfc5b6ba01cf3f1e8141b18877780a08e7abd78af37c9a1d32a155e1d65','f3b52c53e36479d03a341b4b910aef54cc7252a53c16d7db66cffb6e1ddc23c1');
INSERT INTO "audit" VALUES(4,'rule_added',1700000000900,'pi-0001','pi','','command','git push origin *','','','human','','42d8ab86f3ea71d7c2c79596605887b04acb5b2d5c9a58fc87ff9fcde4c3cfee','f3b52c53e36479d03a341b4b910aef54cc7252a53c16d7db66cffb6e1ddc23c1','58d18dc6a46725b4ce5a6e6d2675c78994d18e50120efd9bdf24d01a62033fbf');
CREATE TABLE head (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  rows INTEGER NOT NULL,
  hash TEXT    NOT NULL
) STRICT;
INSERT INTO "head" VALUES(1,4,'58d18dc6a46725b4ce5a6e6d2675c78994d18e50120efd9bdf24d01a62033fbf');
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
INSERT INTO "remembered" VALUES(1,'pi','','command','allow','pattern','git push origin *','git push origin *',1700000000900,NULL,4,NULL,0,NULL);
CREATE INDEX audit_by_session ON audit (session);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE INDEX remembered_by_profile ON remembered (profile, kind);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('remembered',1);
COMMIT;
