#!/usr/bin/env python3
"""duckdb_exec.py LIBRARY FILE SQL: runs statements on a DuckDB file that nobody holds, through the C library."""

import ctypes
import sys


def main(library, path, sql):
    duckdb = ctypes.CDLL(library)
    database, connection = ctypes.c_void_p(), ctypes.c_void_p()
    duckdb.duckdb_open(None, ctypes.byref(database))
    duckdb.duckdb_connect(database, ctypes.byref(connection))
    duckdb.duckdb_result_error.restype = ctypes.c_char_p
    quoted = path.replace("'", "''")
    for statement in (f"ATTACH '{quoted}' AS mirror; USE mirror", sql, "CHECKPOINT mirror"):
        result = ctypes.create_string_buffer(256)
        if duckdb.duckdb_query(connection, statement.encode(), result) != 0:
            sys.exit("duckdb: " + duckdb.duckdb_result_error(result).decode())
        duckdb.duckdb_destroy_result(result)
    duckdb.duckdb_disconnect(ctypes.byref(connection))
    duckdb.duckdb_close(ctypes.byref(database))


if __name__ == "__main__":
    main(*sys.argv[1:])
