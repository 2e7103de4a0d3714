-- The demo's database: about two million rows of every common type.
CREATE SCHEMA shop;
CREATE TYPE shop.state AS ENUM ('new', 'paid', 'sent', 'returned');
CREATE TABLE shop.customers (
  id int PRIMARY KEY, public_id uuid NOT NULL, name text, email varchar(80), balance numeric(12,2), born date,
  joined timestamptz, active bool, tags text[], profile jsonb, ip inet, score float8);
INSERT INTO shop.customers SELECT i, md5(i::text)::uuid, 'customer ' || i, 'c' || i || '@example.org', i % 10000 / 7.0,
  '1950-01-01'::date + i % 20000, '2020-01-01 00:00:00+00'::timestamptz + i * interval '1 min', i % 3 = 0,
  ARRAY['t' || i % 5, NULL], jsonb_build_object('visits', i % 100, 'city', 'Ort ' || i % 50), '10.0.0.0'::inet + i, i / 3.0
  FROM generate_series(1, 200000) i;
CREATE TABLE shop.orders (
  id bigint PRIMARY KEY, customer_id int NOT NULL, placed timestamp, state shop.state, total numeric(12,2), note text,
  delivery int4range, took interval);
INSERT INTO shop.orders SELECT i, i % 200000 + 1, '2024-01-01'::timestamp + i * interval '37 s',
  (ARRAY['new','paid','sent','returned']::shop.state[])[i % 4 + 1], i % 100000 / 100.0, 'note of order ' || i,
  int4range((i % 10)::int, (i % 10 + 5)::int), i % 1000 * interval '1 min' FROM generate_series(1, 600000) i;
CREATE TABLE shop.order_lines (
  order_id bigint, line int2, article text, quantity int, price numeric(10,2), PRIMARY KEY (order_id, line));
INSERT INTO shop.order_lines SELECT i / 2, i % 2, 'article ' || i % 5000, i % 9 + 1, i % 5000 / 10.0
  FROM generate_series(2, 1000001) i;
CREATE TABLE shop.events (at timestamptz, kind text, payload json);
ALTER TABLE shop.events REPLICA IDENTITY FULL;
INSERT INTO shop.events SELECT '2024-06-01 00:00:00+00'::timestamptz + i * interval '1 s', 'kind ' || i % 7, '{"n": 1}'
  FROM generate_series(1, 50000) i;
CREATE TABLE shop.documents (id int PRIMARY KEY, title text, body text);
ALTER TABLE shop.documents ALTER COLUMN body SET STORAGE EXTERNAL;
INSERT INTO shop.documents SELECT i, 'document ' || i, repeat('text ' || i || ' ', 500) FROM generate_series(1, 2000) i;
CREATE TABLE shop.readings (sensor int, at date, value float4, raw bytea, PRIMARY KEY (sensor, at)) PARTITION BY RANGE (at);
CREATE TABLE shop.readings_2023 PARTITION OF shop.readings FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE shop.readings_2024 PARTITION OF shop.readings FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO shop.readings SELECT i % 500, '2023-01-01'::date + i / 500, i / 9.0, decode(md5(i::text), 'hex')
  FROM generate_series(0, 149999) i;
CREATE TABLE shop.scratch (id int PRIMARY KEY);
INSERT INTO shop.scratch SELECT generate_series(1, 1000);
ANALYZE;
