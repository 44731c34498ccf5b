-- A store of schema 1, made of what a living one (attached as `now`) holds: the tables as the first
-- release left them (tests/vectors/store_1.sql), with rows that are young enough to be kept.
PRAGMA user_version = 1;
BEGIN;
CREATE TABLE record (key BLOB PRIMARY KEY, kind INTEGER NOT NULL, value BLOB NOT NULL,                     mac BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE history (key BLOB PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE list (key BLOB PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE self (key BLOB PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE peer (key BLOB PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE sent (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, value BLOB NOT NULL, mac BLOB NOT NULL, created_ms INTEGER NOT NULL,                   sent_ms INTEGER, preview INTEGER NOT NULL DEFAULT 0);
CREATE TABLE ack (key BLOB PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL,                  acked_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE kept (name TEXT PRIMARY KEY, value BLOB NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX sent_created ON sent (created_ms);
INSERT INTO record SELECT key, kind, value, mac FROM now.record;
INSERT INTO history SELECT key, value, mac FROM now.history;
INSERT INTO list SELECT key, value, mac FROM now.list;
INSERT INTO self SELECT key, value, mac FROM now.self;
INSERT INTO peer SELECT key, value, mac FROM now.peer;
INSERT INTO sent SELECT number, key, value, mac, created_ms, sent_ms, preview FROM now.sent;
INSERT INTO ack SELECT key, value, mac, acked_ms FROM now.ack;
INSERT INTO kept SELECT name, value, mac FROM now.kept;
COMMIT;
