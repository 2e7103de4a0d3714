"""What is copied and streamed: tables, and writers whose changes a stream then carries."""
from contenders import CLIENTS, pgbench, sql

_WIDE = ([f"i{n} int" for n in range(10)] + [f"l{n} bigint" for n in range(10)] + [f"t{n} text" for n in range(8)]
         + [f"f{n} float8" for n in range(5)] + [f"n{n} numeric(12,2)" for n in range(3)] + [f"d{n} timestamptz" for n in range(3)])
_WIDE_VALUES = (["(i + {n})::int"] * 10 + ["i * {n}"] * 10 + ["'text ' || i + {n}"] * 8 + ["i / ({n} + 3.0)::float8"] * 5
                + ["((i + {n}) % 1000000) / 100.0"] * 3 + ["now() + i * interval '1 ms'"] * 3)

# Name: columns, what row i has in them. Each has a key, id.
TABLES = {
    "narrow": ("a int, b float8, c text, d timestamptz", "i % 1000, i / 3.0, 'text ' || i, now()"),
    "wide": (", ".join(_WIDE), ", ".join(value.format(n=n) for n, value in enumerate(_WIDE_VALUES))),
    "kilobyte": ("a int, b int, c text", "i % 1000, i, repeat(md5(i::text), 31)"),
}


def create(server, name, kind):
    sql(server, f"CREATE TABLE {name} (id bigint PRIMARY KEY, {TABLES[kind][0]})")


def create_filled(server, kind, rows):
    """The table `kind` with rows that need no more work of the server than being read."""
    create(server, kind, kind)
    sql(server, f"INSERT INTO {kind} SELECT i, {TABLES[kind][1]} FROM generate_series(1, {rows}) i; VACUUM (FREEZE, ANALYZE) {kind}; CHECKPOINT")


class Inserts:
    """Inserts into tables in turn, `size` rows a transaction, `rows` with each write()."""

    def __init__(self, server, rows, size, kind="narrow", tables=("inserts",)):
        self.server, self.rows, self.size, self.kind, self.tables, self.last = server, rows, size, kind, tables, 0

    def create(self, server):
        sql(server, "".join(f"CREATE TABLE {name} (id bigint PRIMARY KEY, {TABLES[self.kind][0]});" for name in self.tables))

    def write(self):
        names = "ARRAY['" + "','".join(self.tables) + "']"
        sql(self.server, f"DO $$ DECLARE first bigint; BEGIN FOR k IN 0..{self.rows // self.size - 1} LOOP first := {self.last} + k * {self.size};"
                         f"EXECUTE format('INSERT INTO %I SELECT i, {self._quoted()} FROM generate_series($1 + 1, $1 + {self.size}) i', "
                         f"({names})[k % {len(self.tables)} + 1]) USING first; COMMIT; END LOOP; END $$")
        self.last += self.rows

    def _quoted(self):
        return TABLES[self.kind][1].replace("%", "%%").replace("'", "''")


class Pgbench:
    """pgbench's own transactions: three updates and an insert each."""
    tables = ("pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history")

    def __init__(self, server, transactions, scale=10):
        self.server, self.transactions, self.scale, self.rows = server, transactions, scale, transactions * 4

    def create(self, server):
        pgbench(server, "-i", "-q", "-s", self.scale)
        sql(server, "ALTER TABLE pgbench_history REPLICA IDENTITY FULL")

    def write(self):
        pgbench(self.server, "-n", "-c", "8", "-j", "2", "-t", self.transactions // 8)


class Orders:
    """A mix like TPC-C's, without its think times: orders of ten lines with their stock, payments, deliveries.

    Of ten transactions five are orders (23 rows), four are payments (4 rows), one is a delivery of an order (13 rows).
    """
    tables = ("warehouse", "district", "customer", "stock", "orders", "new_order", "order_line", "payment")
    _SCHEMA = """
    CREATE TABLE warehouse (w int PRIMARY KEY, name text, ytd numeric(12,2) DEFAULT 0);
    CREATE TABLE district (w int, d int, name text, ytd numeric(12,2) DEFAULT 0, next_order int DEFAULT 1, PRIMARY KEY (w, d));
    CREATE TABLE customer (w int, d int, c int, name text, city text, since timestamptz DEFAULT now(), balance numeric(12,2) DEFAULT 0,
      payments int DEFAULT 0, data text, PRIMARY KEY (w, d, c));
    CREATE TABLE stock (w int, i int, quantity int DEFAULT 100, ytd int DEFAULT 0, orders int DEFAULT 0, data text, PRIMARY KEY (w, i));
    CREATE TABLE orders (w int, d int, o int, c int, entered timestamptz DEFAULT now(), carrier int, lines int, PRIMARY KEY (w, d, o));
    CREATE TABLE new_order (w int, d int, o int, PRIMARY KEY (w, d, o));
    CREATE TABLE order_line (w int, d int, o int, line int, i int, quantity int, amount numeric(8,2), delivered timestamptz, data text,
      PRIMARY KEY (w, d, o, line));
    CREATE TABLE payment (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, w int, d int, c int, paid timestamptz DEFAULT now(), amount numeric(8,2));
    """
    _FILL = """
    INSERT INTO warehouse SELECT w, 'warehouse ' || w FROM generate_series(1, 4) w;
    INSERT INTO district SELECT w, d, 'district ' || d FROM generate_series(1, 4) w, generate_series(1, 10) d;
    INSERT INTO customer SELECT w, d, c, 'customer ' || c, 'city ' || c % 100, now(), 0, 0, repeat(md5(c::text), 6)
      FROM generate_series(1, 4) w, generate_series(1, 10) d, generate_series(1, 1000) c;
    INSERT INTO stock SELECT w, i, 100, 0, 0, md5(i::text) FROM generate_series(1, 4) w, generate_series(1, 20000) i;
    CREATE PROCEDURE write_orders(transactions int) LANGUAGE plpgsql AS $$
    DECLARE hw int; hd int; hc int; ho int; item int;
    BEGIN
      FOR k IN 1..transactions LOOP
        hw := 1 + random() * 3; hd := 1 + random() * 9; hc := 1 + random() * 999;
        IF k % 10 < 5 THEN
          UPDATE district SET next_order = next_order + 1 WHERE w = hw AND d = hd RETURNING next_order - 1 INTO ho;
          INSERT INTO orders VALUES (hw, hd, ho, hc, now(), NULL, 10);
          INSERT INTO new_order VALUES (hw, hd, ho);
          FOR line IN 1..10 LOOP
            item := 1 + random() * 19999;
            UPDATE stock SET quantity = CASE WHEN quantity > 10 THEN quantity - 5 ELSE 91 END, ytd = ytd + 5, orders = orders + 1
              WHERE w = hw AND i = item;
            INSERT INTO order_line VALUES (hw, hd, ho, line, item, 5, item % 100, NULL, 'line of an order');
          END LOOP;
        ELSIF k % 10 < 9 THEN
          UPDATE warehouse SET ytd = ytd + 10 WHERE w = hw;
          UPDATE district SET ytd = ytd + 10 WHERE w = hw AND d = hd;
          UPDATE customer SET balance = balance - 10, payments = payments + 1 WHERE w = hw AND d = hd AND c = hc;
          INSERT INTO payment (w, d, c, amount) VALUES (hw, hd, hc, 10);
        ELSE
          DELETE FROM new_order WHERE (w, d, o) = (SELECT w, d, o FROM new_order ORDER BY w, d, o LIMIT 1) RETURNING w, d, o INTO hw, hd, ho;
          UPDATE orders SET carrier = 1 WHERE w = hw AND d = hd AND o = ho RETURNING c INTO hc;
          UPDATE order_line SET delivered = now() WHERE w = hw AND d = hd AND o = ho;
          UPDATE customer SET balance = balance + 100 WHERE w = hw AND d = hd AND c = hc;
        END IF;
        COMMIT;
      END LOOP;
    END $$;
    """

    def __init__(self, server, transactions):
        self.server, self.transactions, self.rows = server, transactions, transactions // 10 * (5 * 23 + 4 * 4 + 13)

    def create(self, server):
        sql(server, self._SCHEMA)
        sql(server, self._FILL)

    def write(self):
        sql(self.server, f"CALL write_orders({self.transactions})")


class Toast:
    """Updates of a short column beside one of 8 kB that lies out of line and stays as it is; 100 rows a transaction."""
    tables = ("documents",)

    def __init__(self, server, rows):
        self.server, self.rows, self.documents = server, rows, 5000

    def create(self, server):
        sql(server, "CREATE TABLE documents (id bigint PRIMARY KEY, views int, body text); "
                    "ALTER TABLE documents ALTER body SET STORAGE EXTERNAL; "
                    f"INSERT INTO documents SELECT i, 0, repeat(md5(i::text), 256) FROM generate_series(1, {self.documents}) i")

    def write(self):
        sql(self.server, f"DO $$ BEGIN FOR k IN 0..{self.rows // 100 - 1} LOOP UPDATE documents SET views = views + 1 "
                         f"WHERE id > k * 100 % {self.documents} AND id <= k * 100 % {self.documents} + 100; COMMIT; END LOOP; END $$")


def drop(server, tables):
    sql(server, "DROP TABLE " + ", ".join(tables) + "; DROP PROCEDURE IF EXISTS write_orders")


def upserts(path, rows):
    """A script for pgbench: one upsert a transaction, its key anywhere in the table."""
    path.write_text(f"\\set id random(1, {rows})\n\\set a random(1, 1000)\nINSERT INTO narrow VALUES (:id, :a, 1.5, 'changed', now()) "
                    "ON CONFLICT (id) DO UPDATE SET a = excluded.a, d = excluded.d;\n", encoding="utf-8")
    return path


def upsert_command(server, script, rate, seconds):
    """The command line of pgbench that does so at a steady rate."""
    return [f"{CLIENTS}/pgbench", "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-n", "-f", str(script), "-R", str(rate), "-c", "8",
            "-j", "1", "-T", str(seconds), "postgres"]

