-- What capture.sh runs between making a slot and reading it. Every kind of pgoutput message comes of it.
CREATE TYPE mood AS ENUM ('fine', 'so so');
CREATE TABLE plain (id int PRIMARY KEY, name text, big text, feeling mood, price numeric(10,2));
ALTER TABLE plain ALTER big SET STORAGE EXTERNAL;
CREATE TABLE whole (a int, b text);
ALTER TABLE whole REPLICA IDENTITY FULL;
CREATE TABLE nothing_in_it ();
CREATE TABLE child (id int PRIMARY KEY);
CREATE PUBLICATION golden FOR ALL TABLES;
SELECT pg_create_logical_replication_slot('golden', 'pgoutput') IS NOT NULL AS slot;

-- insert, update without and with a key change, unchanged TOAST value, delete, null
INSERT INTO plain VALUES (1, 'one', repeat('x', 3000), 'fine', 12.50), (2, NULL, NULL, NULL, 'NaN');
UPDATE plain SET name = 'uno' WHERE id = 1;
UPDATE plain SET id = 10 WHERE id = 1;
DELETE FROM plain WHERE id = 2;
-- full identity
BEGIN;
INSERT INTO whole VALUES (1, 'a'), (NULL, NULL);
UPDATE whole SET b = 'b' WHERE a = 1;
DELETE FROM whole WHERE a IS NULL;
COMMIT;
INSERT INTO nothing_in_it DEFAULT VALUES;
-- truncates
TRUNCATE child;
TRUNCATE plain, whole RESTART IDENTITY CASCADE;
-- logical messages
SELECT pg_logical_emit_message(false, 'golden', 'at once') IS NOT NULL AS message;
BEGIN;
SELECT pg_logical_emit_message(true, 'golden', 'with the transaction') IS NOT NULL AS message;
INSERT INTO child VALUES (1);
COMMIT;
-- subtransactions: kept, rolled back, nested
BEGIN;
INSERT INTO child VALUES (2);
SAVEPOINT a;
INSERT INTO child VALUES (3);
SAVEPOINT b;
INSERT INTO child VALUES (4);
ROLLBACK TO b;
INSERT INTO child VALUES (5);
RELEASE a;
SAVEPOINT c;
INSERT INTO child VALUES (6);
ROLLBACK TO c;
TRUNCATE whole;
SELECT pg_logical_emit_message(true, 'golden', 'late') IS NOT NULL AS message;
INSERT INTO plain VALUES (3, 'three', NULL, 'so so', 0.01);
COMMIT;
-- a shape that changes inside a transaction
BEGIN;
INSERT INTO child VALUES (7);
ALTER TABLE child ADD note text DEFAULT 'none';
INSERT INTO child VALUES (8, 'eight');
COMMIT;
-- all of it rolled back
BEGIN;
INSERT INTO child VALUES (9, NULL);
ROLLBACK;
-- from another origin
SELECT pg_replication_origin_create('golden_origin') IS NOT NULL AS origin;
SELECT pg_replication_origin_session_setup('golden_origin');
BEGIN;
SELECT pg_replication_origin_xact_setup('0/ABCDEF0', '2024-02-29 12:00:00+00');
INSERT INTO child VALUES (11, 'from afar');
COMMIT;
SELECT pg_replication_origin_session_reset();
