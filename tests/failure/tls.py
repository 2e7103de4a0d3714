#!/usr/bin/env python3
"""Who may be talked to: TLS, certificates and passwords against a real server.

The server gets a certificate of an authority made here; everything that is not that server, by that name, today, is
refused, and a copy with its stream works through it.

  tls.py --sluice build/dev/sluice
"""
import os
import socket
import subprocess
import threading
from pathlib import Path

from rig import Results, Rig, parser, wait_for

PASSWORD = "canary-7d1f"


def call(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


class Authority:
    def __init__(self, folder, name):
        self.key, self.cert = folder / f"{name}.key", folder / f"{name}.crt"
        self.folder = folder
        call("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
             "-keyout", self.key, "-out", self.cert)

    def sign(self, name, days="2", at=None):
        key, request, cert = (self.folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
        call("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{name}\n")
        # An index of its own: `openssl ca` is the only one that takes dates.
        if at is None:
            call("openssl", "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial",
                 "-days", days, "-extfile", extensions, "-out", cert)
        else:
            (self.folder / "index").write_text("")
            (self.folder / "serial").write_text("01\n")
            (self.folder / "ca.conf").write_text(
                f"[ca]\ndefault_ca=a\n[a]\ndatabase={self.folder}/index\nserial={self.folder}/serial\n"
                f"new_certs_dir={self.folder}\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
            call("openssl", "ca", "-batch", "-config", self.folder / "ca.conf", "-cert", self.cert, "-keyfile", self.key,
                 "-in", request, "-out", cert, "-startdate", at[0], "-enddate", at[1], "-extfile", extensions)
        return key, cert


class Source:
    """The scratch server and its files."""

    def __init__(self, server):
        self.server, self.data = server, Path(server.folder) / "data"

    def put(self, name, text):
        path, owner = self.data / name, os.stat(self.data)
        path.write_text(text)
        path.chmod(0o600)
        os.chown(path, owner.st_uid, owner.st_gid)

    def use(self, key, cert, authority=None):
        self.put("test.key", key.read_text())
        self.put("test.crt", cert.read_text())
        for setting, value in (("ssl_key_file", "test.key"), ("ssl_cert_file", "test.crt"), ("ssl", "on")):
            self.server.sql(f"ALTER SYSTEM SET {setting} = '{value}'")
        if authority:
            self.put("root.crt", authority.cert.read_text())
            self.server.sql("ALTER SYSTEM SET ssl_ca_file = 'root.crt'")
        self.reload()

    def without_tls(self):
        self.server.sql("ALTER SYSTEM SET ssl = off")
        self.reload()

    def hba(self, lines):
        self.put("pg_hba.conf", "local all all trust\nhost all postgres 127.0.0.1/32 trust\n"
                 "host replication postgres 127.0.0.1/32 trust\n" + lines)
        self.reload()

    def reload(self):
        # New sessions have the new settings from then on.
        before = self.server.sql("SELECT pg_conf_load_time()")
        self.server.sql("SELECT pg_reload_conf()")
        wait_for("the server reads its settings", lambda: self.server.sql("SELECT pg_conf_load_time()") != before)


class Downgrade:
    """In the middle: says that the server has no TLS, and listens on."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = b""
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            client.settimeout(60)
            try:
                client.recv(8)
                client.sendall(b"N")
                self.heard += client.recv(1000)
            except OSError:
                pass
            client.close()


class Suite:
    def __init__(self, rig, folder, results):
        self.rig, self.folder, self.check, self.log = rig, folder, results.check, ""

    def sluice(self, *arguments):
        done = self.rig.command(*arguments, environment={"HOME": str(self.folder), "SLUICE_STATE": str(self.folder)})
        self.log += done.stdout + done.stderr
        return done

    def connects(self, what, url):
        done = self.sluice("slots", url)
        self.check(what, done.returncode == 0, done.stderr)

    def refuses(self, what, url, code):
        done = self.sluice("slots", url)
        self.check(what, done.returncode == 2 and code in done.stderr, f"exit {done.returncode}: {done.stderr}")


def one_run(options, _, results):
    with Rig("tls", options) as rig:
        folder = rig.folder / "sluice"  # all that sluice writes
        folder.mkdir()
        suite, server = Suite(rig, folder, results), Source(rig.server)
        authority, other = Authority(folder, "authority"), Authority(folder, "other")
        good = authority.sign("localhost")
        server.use(*good, authority)
        rig.server.sql(f"SET password_encryption = 'scram-sha-256'; CREATE ROLE app LOGIN REPLICATION SUPERUSER PASSWORD '{PASSWORD}';"
                       "CREATE ROLE cert LOGIN")
        server.hba("hostssl all app 127.0.0.1/32 scram-sha-256\nhostssl replication app 127.0.0.1/32 scram-sha-256\n"
                   "hostssl all cert 127.0.0.1/32 cert")

        def source(user="app", host="localhost", ca=authority, mode="verify-full", more="", password=PASSWORD, at=rig.server.port):
            secret = f":{password}" if password else ""
            return (f"postgres://{user}{secret}@{host}:{at}/postgres?sslmode={mode}&sslrootcert={ca.cert}"
                    f"&hostaddr=127.0.0.1&gssencmode=disable{more}")

        suite.connects("the right certificate and name", source())
        suite.connects("SCRAM with channel binding", source(more="&channel_binding=require"))
        suite.refuses("another name than the certificate's", source(host="elsewhere.example"), "SLU-2005")
        suite.refuses("another authority", source(ca=other), "SLU-2005")
        suite.refuses("a wrong password", source(password=PASSWORD + "x"), "SLU-2004")
        suite.refuses("no TLS where the server wants it", source(mode="disable"), "SLU-2005")
        key, cert = authority.sign("cert")
        call("chmod", "600", key)
        suite.connects("a client's certificate", source("cert", password="", more=f"&sslcert={cert}&sslkey={key}"))
        suite.refuses("no client's certificate", source("cert", password=""), "SLU-2004")
        stranger_key, stranger = other.sign("cert2")
        call("chmod", "600", stranger_key)
        suite.refuses("a client's certificate of another authority",
                      source("cert", password="", more=f"&sslcert={stranger}&sslkey={stranger_key}"), "SLU-2005")

        rig.server.sql("CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 20000) i")
        common = ["--http", "off", "--progress", "off", "--until", "caught-up"]
        mirror = str(folder / "m.duckdb")
        done = suite.sluice("run", source(), mirror, *common)
        suite.check("a copy through TLS", done.returncode == 0, done.stderr)
        rig.server.sql("UPDATE t SET a = repeat('y', 1000) WHERE id % 2 = 0; DELETE FROM t WHERE id % 7 = 0")
        done = suite.sluice("run", source(), mirror, *common)
        suite.check("a stream through TLS", done.returncode == 0, done.stderr)
        done = suite.sluice("verify", source(), mirror)
        suite.check("equal, read through TLS", done.returncode == 0, done.stdout + done.stderr)
        modes = {path.name: path.stat().st_mode & 0o077 for path in folder.glob("m.duckdb*")}
        suite.check("the mirror is for its owner only", modes and not any(modes.values()), str(modes))

        middle = Downgrade()
        suite.refuses("somebody in the middle who says there is no TLS", source(at=middle.port), "SLU-2005")
        suite.check("... and hears no user, no password", not middle.heard, repr(middle.heard))
        server.use(*authority.sign("localhost", at=("20200101000000Z", "20200102000000Z")))
        suite.refuses("an expired certificate", source(), "SLU-2005")
        myself = Authority(folder, "localhost")
        server.use(myself.key, myself.cert)
        suite.refuses("a certificate signed by itself", source(), "SLU-2005")
        server.without_tls()
        suite.refuses("a server without TLS", source(), "SLU-2005")
        server.use(*good)

        suite.check("no password in what was printed", PASSWORD not in suite.log, "it is")
        found = subprocess.run(["grep", "-rlF", PASSWORD, str(folder)], capture_output=True, text=True, check=False).stdout
        suite.check("no password in a file", not found, found)


def main():
    options = parser(__doc__)
    with Results("tls") as results:
        results.seeds(one_run, options.parse_args(), results)


if __name__ == "__main__":
    main()
