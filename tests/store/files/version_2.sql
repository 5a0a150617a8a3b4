-- A record as agentbox 0.3 wrote it, version 2. It stays as it is for as long as such files exist.
PRAGMA application_id=1633841016;
PRAGMA user_version=2;
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
INSERT INTO "audit" VALUES(1,'session_began',1795435200000,'pi-0002','pi','','','','','','','','','0000000000000000000000000000000000000000000000000000000000000000','28d2a8ace194108e5c6d59ac97f7a90851ff705378a41f10cef504ec88448543');
INSERT INTO "audit" VALUES(2,'request',1795435201000,'pi-0002','pi','1','payment','12.50 USD to alice','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','','','{"amount":1250}','','28d2a8ace194108e5c6d59ac97f7a90851ff705378a41f10cef504ec88448543','8b9dcab0b82a1a6482f4d240f4f63152632c84611112061da0e1c07033ff1e27');
INSERT INTO "audit" VALUES(3,'verdict',1795435201000,'pi-0002','pi','1','payment','12.50 USD to alice','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','allow','rule','{"rule":"100 USD/day"}','','8b9dcab0b82a1a6482f4d240f4f63152632c84611112061da0e1c07033ff1e27','ccb0df1eb3d65bcea30bfdbe2929ae316f0ab5d408a7a51fa640c9e240ed3039');
INSERT INTO "audit" VALUES(4,'outcome',1795435202000,'pi-0002','pi','1','payment','','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','','','{"outcome":"paid"}','','ccb0df1eb3d65bcea30bfdbe2929ae316f0ab5d408a7a51fa640c9e240ed3039','363528bc52d656fb720ca328a42a27535dd6fbb15944e434be0d60a2b811fe9b');
INSERT INTO "audit" VALUES(5,'request',1795435203000,'pi-0002','pi','2','payment','10.00 USD to bob','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','','','{"amount":1000}','','363528bc52d656fb720ca328a42a27535dd6fbb15944e434be0d60a2b811fe9b','108a4c6f202b65767497b890ccb4746e27d9b3ae8f5ba3061ccbef5fc10014cd');
INSERT INTO "audit" VALUES(6,'verdict',1795435203000,'pi-0002','pi','2','payment','10.00 USD to bob','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','allow','rule','{"rule":"100 USD/day"}','','108a4c6f202b65767497b890ccb4746e27d9b3ae8f5ba3061ccbef5fc10014cd','84c4c4f184c7571f8f244ccaf5226f60b3cbb534a354d57fd15800362d12d9b3');
INSERT INTO "audit" VALUES(7,'outcome',1795435204000,'pi-0002','pi','2','payment','','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','','','{"outcome":"unknown"}','','84c4c4f184c7571f8f244ccaf5226f60b3cbb534a354d57fd15800362d12d9b3','a0a2eddca75a8f49497823b20793a0cc248ffbb2989c1246bcf8b78c4b6b4b1b');
INSERT INTO "audit" VALUES(8,'request',1795435207000,'pi-0002','pi','3','payment','5.00 USD to carol','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','','','{"amount":500}','','a0a2eddca75a8f49497823b20793a0cc248ffbb2989c1246bcf8b78c4b6b4b1b','047ec2cffd6aae56efe58a8e70042bf4a65b98de513ce67fb1b85b8e3d002ca6');
INSERT INTO "audit" VALUES(9,'verdict',1795435207000,'pi-0002','pi','3','payment','5.00 USD to carol','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','allow','rule','{"rule":"100 USD/day"}','','047ec2cffd6aae56efe58a8e70042bf4a65b98de513ce67fb1b85b8e3d002ca6','e56752edb5f3f6c34c6ae37b96cf084c364626b64d7eb509b72997cb61fd4a2a');
INSERT INTO "audit" VALUES(10,'outcome',1795435208000,'pi-0002','pi','3','payment','','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','','','{"outcome":"not paid"}','','e56752edb5f3f6c34c6ae37b96cf084c364626b64d7eb509b72997cb61fd4a2a','5d7dff9085bf79f98feba4de3568f3c0e56388d9e0e09adbf0904affb97947b6');
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
INSERT INTO "budget" VALUES('pi','spending.limit','payment','amount',0,'100 USD/day','USD',10000,'day',0,'/home/u/.config/agentbox/profiles/pi.toml',3,9);
INSERT INTO "budget" VALUES('pi','spending.count','payment','times',0,'20/day','',20,'day',0,'',0,0);
CREATE TABLE clock (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  latest INTEGER NOT NULL
) STRICT;
INSERT INTO "clock" VALUES(1,1795435207000);
CREATE TABLE head (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  rows INTEGER NOT NULL,
  hash TEXT    NOT NULL
) STRICT;
INSERT INTO "head" VALUES(1,10,'5d7dff9085bf79f98feba4de3568f3c0e56388d9e0e09adbf0904affb97947b6');
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
INSERT INTO "payment" VALUES(1,1,'pi','pi-0002','1','invoice-1',1250,'USD','alice','lunch','paid',1795435201000,1795435202000,'');
INSERT INTO "payment" VALUES(2,2,'pi','pi-0002','2','invoice-2',1000,'USD','bob','lunch','unknown',1795435203000,1795435204000,'killed by signal 9');
INSERT INTO "payment" VALUES(3,3,'pi','pi-0002','3','invoice-3',500,'USD','carol','lunch','not_paid',1795435207000,1795435208000,'exit code 1');
CREATE TABLE reached (
  profile TEXT    NOT NULL,
  kind    TEXT    NOT NULL,
  name    TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  PRIMARY KEY (profile, kind, name)
) STRICT;
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
INSERT INTO "used" VALUES(1,'pi','pi-0002','payment','alice','USD',1795435201000,1250,'done');
INSERT INTO "used" VALUES(2,'pi','pi-0002','payment','bob','USD',1795435203000,1000,'reserved');
INSERT INTO "used" VALUES(3,'pi','pi-0002','payment','carol','USD',1795435207000,0,'done');
CREATE INDEX audit_by_session ON audit (session);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE INDEX remembered_by_profile ON remembered (profile, kind);
CREATE INDEX used_by_profile ON used (profile, kind, at);
CREATE INDEX used_by_session ON used (session) WHERE session <> '';
CREATE UNIQUE INDEX payment_by_key ON payment (profile, key) WHERE state <> 'not_paid';
CREATE INDEX payment_by_time ON payment (reserved);
CREATE INDEX payment_open ON payment (state) WHERE state IN ('reserved', 'unknown');
CREATE TRIGGER payment_no_delete BEFORE DELETE ON payment
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('payment',3);
COMMIT;
