-- One round of the demo's application; repeated for as long as it runs.
UPDATE shop.customers SET balance = balance + 1, tags = tags || 'seen'::text WHERE id = 1 + (random() * 199999)::int AND cardinality(tags) < 5;
BEGIN;
INSERT INTO shop.orders (id, customer_id, placed, state, total) SELECT coalesce(max(id), 0) + 1, 7, now()::timestamp, 'new', 1 FROM shop.orders;
SAVEPOINT s;
DELETE FROM shop.customers WHERE id < 100;
ROLLBACK TO s;
INSERT INTO shop.events VALUES (now(), 'written', '{}');
COMMIT;
UPDATE shop.orders SET state = 'sent' WHERE id BETWEEN 1000 AND 1020;
DELETE FROM shop.events WHERE ctid = (SELECT min(ctid) FROM shop.events);
UPDATE shop.readings SET at = at + 366, value = value + 1 WHERE sensor = (random() * 499)::int AND at = '2023-03-03';
UPDATE shop.readings SET at = '2023-03-03' WHERE at = '2024-03-03' AND sensor = (random() * 499)::int AND NOT EXISTS
  (SELECT 1 FROM shop.readings r WHERE r.sensor = readings.sensor AND r.at = '2023-03-03');
SELECT pg_sleep(0.02);
