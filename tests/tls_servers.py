"""PostgreSQL and Redis of a test's own, which accept TLS with a password alone, signed by an authority of their own.

Needs the installed programs: PostgreSQL's, where Debian has them or on the path, and ``redis-server``.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.free_ports import free_port

_HOST, _ADDRESS = "localhost", "127.0.0.1"
_USER = "lender"
_SECONDS_TO_START = 30.0


@dataclass(frozen=True)
class TlsServers:
    """``catalog``: libpq's connection string; ``redis_url``: the other's address. Both verify by ``authority``.

    ``other_authority``: the certificate of one that signed neither.
    """

    catalog: str
    redis_url: str
    authority: Path
    other_authority: Path


def missing_programs() -> str | None:
    """What must be installed for them; None if everything is."""
    missing = [name for name in ("initdb", "pg_ctl", "redis-server") if _program(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


@contextmanager
def tls_servers(password: str) -> Iterator[TlsServers]:
    """Both, each with this password."""
    with tempfile.TemporaryDirectory(prefix="loanlake-tls-") as directory:
        folder = Path(directory)
        folder.chmod(0o755)  # PostgreSQL runs as another user where the tests are root's
        (folder / "password").write_text(password)
        _certificates(folder)
        with _postgres(folder) as postgres_port, _redis(folder, password) as redis_port:
            yield TlsServers(
                f"host={_HOST} port={postgres_port} user={_USER} dbname=postgres password={password} "
                f"sslmode=verify-full sslrootcert={folder / 'authority.pem'}",
                f"rediss://:{password}@{_HOST}:{redis_port}/0?ssl_ca_certs={folder / 'authority.pem'}",
                folder / "authority.pem",
                folder / "other.pem",
            )


@contextmanager
def _postgres(folder: Path) -> Iterator[int]:
    data, port = folder / "postgres", free_port()
    data.mkdir()
    run: Sequence[str] = ()
    if os.getuid() == 0:  # its programs refuse root
        for path in (data, folder / "server.key", folder / "password"):
            shutil.chown(path, "postgres")
        run = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
    made = ["--auth=scram-sha-256", f"--username={_USER}", f"--pwfile={folder / 'password'}", "--no-sync"]
    _run([*run, _needed("initdb"), *made, f"--pgdata={data}"])
    (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    settings = {
        "listen_addresses": _ADDRESS,
        "port": str(port),
        "unix_socket_directories": "",
        "fsync": "off",
        "ssl": "on",
        "ssl_cert_file": str(folder / "server.pem"),
        "ssl_key_file": str(folder / "server.key"),
    }
    with (data / "postgresql.conf").open("a") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    control = [*run, _needed("pg_ctl"), f"--pgdata={data}", "--wait"]
    _run([*control, f"--log={data / 'log'}", "start"])
    try:
        yield port
    finally:
        _run([*control, "--mode=immediate", "stop"])


@contextmanager
def _redis(folder: Path, password: str) -> Iterator[int]:
    port = free_port()
    settings = {
        "port": "0",
        "tls-port": str(port),
        "bind": _ADDRESS,
        "tls-cert-file": str(folder / "redis.pem"),
        "tls-key-file": str(folder / "redis.key"),
        "tls-ca-cert-file": str(folder / "authority.pem"),
        "tls-auth-clients": "no",
        "requirepass": password,
        "save": '""',
        "dir": str(folder),
    }
    (folder / "redis.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen([_needed("redis-server"), str(folder / "redis.conf")], stdout=log, stderr=log)
    client = redis.Redis(
        _HOST, port, password=password, ssl=True, ssl_ca_certs=str(folder / "authority.pem"), socket_timeout=3
    )
    try:
        deadline = time.monotonic() + _SECONDS_TO_START
        while not _answers(client):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"redis-server did not start: {(folder / 'redis.log').read_text()}")
            time.sleep(0.05)
        yield port
    finally:
        client.close()
        process.terminate()
        process.wait(timeout=30)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _certificates(folder: Path) -> None:
    """``authority.pem`` has signed ``server.pem`` and ``redis.pem``; ``other.pem`` nothing."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("Authority of the tests", authority_key, authority_key, None)
    other_key = ec.generate_private_key(ec.SECP256R1())
    other = _certificate("Another authority", other_key, other_key, None)
    (folder / "authority.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    (folder / "other.pem").write_bytes(other.public_bytes(Encoding.PEM))
    for name in ("server", "redis"):
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _certificate(f"{name} of the tests", key, authority_key, authority)
        (folder / f"{name}.pem").write_bytes(signed.public_bytes(Encoding.PEM))
        private = folder / f"{name}.key"
        private.touch(mode=0o600)
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    signing_key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
) -> x509.Certificate:
    """Of a server at this address, or of an authority that signs itself (no ``issuer``)."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer is not None else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(_HOST), x509.IPAddress(IPv4Address(_ADDRESS))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signing_key, hashes.SHA256())


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} failed: {done.stdout}{done.stderr}")


def _needed(name: str) -> str:
    found = _program(name)
    if found is None:
        raise AssertionError(f"{name} must be installed")
    return found


def _program(name: str) -> str | None:
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    return str(newest[-1]) if newest else shutil.which(name)
