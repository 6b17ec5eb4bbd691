"""A data plane on another machine than control: how it is enrolled, and how it reaches control from then on.

    plane   ──► {"authority": true}                                      TLS, nobody checked yet
    control ──► {"authority": PEM}                                       its SHA-256 is in the token, or the plane hangs up
    plane   ──► {"enrol": {"plane", "secret", "request": PEM}}           TLS, control checked
    control ──► {"certificate": PEM, "keys": text}                       once for a token
    plane   ──► {"renew": PEM of a request} or what snapshot_wire.py says    TLS, both checked

`keys` is the plane's own file of vault keys: what control seals for this plane, only this plane opens. The private key never leaves
the plane's folder and is written first, so that a file of vault keys beside none is known for another system's. The certificate is
written last: a plane that has one has everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from contracts.enrolment import SERVER, EnrolToken, enrol_token
from contracts.errors import Unusable
from contracts.settings import Settings
from extproc.edge.kek import KekFile, kek_of
from extproc.edge.private_files import private_file, private_folder, replace_file
from extproc.edge.snapshot import Connection
from extproc.edge.snapshot_wire import framed, message, read_message, receive

_PATIENCE_S: Final = 10.0
_AGAIN: Final = "make a new token with `portcullis plane add`, after `portcullis plane remove`, and start with --enrol-token-file"


@dataclass(frozen=True, slots=True)
class Identity:
    """The files by which a plane is known."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """The certificate, from control."""
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        """Its private key, made here."""
        return self.folder / "key.pem"

    @property
    def authority(self) -> Path:
        """Whom the plane believes."""
        return self.folder / "authority.pem"

    def read(self) -> x509.Certificate:
        """The certificate. Raises Unusable."""
        try:
            private_file(self.key)
            return x509.load_pem_x509_certificate(self.certificate.read_bytes())
        except (OSError, ValueError) as error:
            raise Unusable(f"{self.folder}: this plane's certificate can't be used ({type(error).__name__}); {_AGAIN}") from None


@dataclass(slots=True)
class Away:
    """Control on another machine."""

    identity: Identity
    host: str
    port: int
    plane: str

    async def connect(self) -> Connection:
        """Reach control, with a certificate that is renewed in the last third of its life. Raises OSError, Unusable."""
        try:
            return await self._connected()
        except OSError:
            raise
        except ValueError:
            raise Unusable(f"{self.identity.folder}: holds a file that is not as control gave it; restore it, or {_AGAIN}") from None

    async def _connected(self) -> Connection:
        certificate = self.identity.read()
        life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        if certificate.not_valid_after_utc - datetime.now(UTC) < life / 3:
            await self._renew()
        async with asyncio.timeout(_PATIENCE_S):
            return await asyncio.open_connection(self.host, self.port, ssl=self._trust(), server_hostname=SERVER)

    async def _renew(self) -> None:
        key = serialization.load_pem_private_key(self.identity.key.read_bytes(), None)
        if not isinstance(key, Ed25519PrivateKey):
            raise Unusable(f"{self.identity.key}: is not this plane's key; {_AGAIN}")
        with contextlib.suppress(ValueError, TypeError, KeyError, EOFError):  # then the one that there is goes on to serve
            said = await _asked(self.host, self.port, self._trust(), {"renew": _request(key, self.plane)})
            replace_file(self.identity.certificate, str(said["certificate"]).encode())

    def _trust(self) -> ssl.SSLContext:
        context = _checked(self.identity.authority.read_text("ascii"))
        context.load_cert_chain(self.identity.certificate, self.identity.key)
        return context


async def enrolled(settings: Settings, control: str, token: Path | None) -> Away:
    """The plane that this machine is, enrolled now if it never was. Raises Unusable, with what to do."""
    host, _, port = control.rpartition(":")
    identity = Identity(settings.data / "enrolment")
    if not identity.certificate.exists():
        await _enrol(settings, identity, host.strip("[]"), int(port), _token(token))
    return Away(identity, host.strip("[]"), int(port), _name(identity.read()))


async def _enrol(settings: Settings, identity: Identity, host: str, port: int, token: EnrolToken) -> None:
    kek = kek_of(settings)
    if not isinstance(kek, KekFile):
        raise Unusable("vault: a plane on another machine has a file of keys of its own, from control; leave vault at: file")
    if kek.exists() and not identity.key.exists():
        raise Unusable(f"{kek}: holds the keys of a system that is here already, and is never overwritten; name a fresh folder with --data")
    key = Ed25519PrivateKey.generate()
    try:
        pem = await _authority(host, port, token)
        asked = {"enrol": {"plane": token.plane, "secret": token.secret, "request": _request(key, token.plane)}}
        said = await _asked(host, port, _checked(pem), asked)
        certificate, keys = str(said["certificate"]), str(said["keys"])
    except (OSError, EOFError, TimeoutError) as error:
        raise Unusable(
            f"--control {host}:{port}: can't be reached ({type(error).__name__}); check control.planes there, and try again"
        ) from None
    except (ValueError, TypeError, KeyError):
        raise Unusable(f"--control {host}:{port}: what answers is no control plane; check the address") from None
    for folder in (settings.data, kek.path.parent, identity.folder):
        private_folder(folder)
    unprotected = serialization.NoEncryption()  # its folder is as private as that of the vault's keys, which are worth as much
    replace_file(identity.key, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unprotected))
    replace_file(kek.path, keys.encode())
    replace_file(identity.authority, pem.encode())
    replace_file(identity.certificate, certificate.encode())


def _token(file: Path | None) -> EnrolToken:
    if file is None:
        raise Unusable("this plane is not enrolled: make a token with `portcullis plane add NAME` and start with --enrol-token-file FILE")
    try:
        token = enrol_token(private_file(file).read_text("ascii").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"--enrol-token-file {file}: can't be read: {type(error).__name__}") from None
    if token is None:
        raise Unusable(f"--enrol-token-file {file}: holds no token; put the line in it that `portcullis plane add` showed")
    return token


async def _authority(host: str, port: int, token: EnrolToken) -> str:
    """The authority's certificate, if it is the one that the token means."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # checked below, by its hash, before anything is said
    pem = str((await _asked(host, port, context, {"authority": True}))["authority"])
    found = x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)
    if hashlib.sha256(found).hexdigest() != token.authority:
        raise Unusable(f"--control {host}:{port}: is not the control plane that made the token; check the address, or make a new token")
    return pem


def _checked(authority: str) -> ssl.SSLContext:
    """Believes this authority and no other, the system's neither; for no authority raises ValueError or OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=authority)
    return context


async def _asked(host: str, port: int, context: ssl.SSLContext, asked: Mapping[str, Any]) -> dict[str, Any]:
    """One question and its answer. Raises Unusable where control says why not."""
    async with asyncio.timeout(_PATIENCE_S):
        reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=SERVER)
        try:
            writer.write(framed(message(asked)))
            said = read_message(await receive(reader))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    if "refused" in said:
        raise Unusable(str(said["refused"]))
    return said


def _request(key: Ed25519PrivateKey, plane: str) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, plane)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, None)
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""
