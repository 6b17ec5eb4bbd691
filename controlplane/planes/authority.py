"""Signs the certificates of control's listener and of planes on other machines. X.509 of RFC 5280, keys of RFC 8410 (Ed25519).

A plane's certificate names it, and the serial number of its first certificate, which stays the same through all renewals: that one
is on record, so a plane that was removed, or enrolled anew elsewhere, is known for what it is.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from contracts.enrolment import SERVER
from controlplane.state.values import Authority
from controlplane.vault import Vault
from custody import store
from custody.authority import SEED_BYTES, signer
from custody.secret import Secret

PLANE_LIFE: Final = timedelta(days=30)
_AUTHORITY_LIFE: Final = timedelta(days=3650)
_SKEW: Final = timedelta(minutes=5)
"""How far another machine's clock may be behind."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a plane's certificate names."""

    plane: str
    serial: str


def new_authority(vault: Vault) -> Authority:
    """A fresh authority, its key sealed."""
    seed = Secret(os.urandom(SEED_BYTES))
    key = signer(seed)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Portcullis planes")])
    certificate = (
        _about(name, key.public_key(), name, _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, None)
    )
    return Authority(_pem(certificate), vault.seal(store.authority(), seed))


class Signer:
    """An authority in use."""

    def __init__(self, authority: Authority, vault: Vault) -> None:
        self.pem = authority.certificate
        self._certificate = x509.load_pem_x509_certificate(authority.certificate.encode())
        self._key = signer(vault.open(store.authority(), authority.sealed))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hex."""
        return hashlib.sha256(self._certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    def sign(self, request: str, plane: str, serial: str = "") -> tuple[str, str]:
        """A certificate for the key of a request, as PEM, and the plane's serial number; none given: the first one's own.

        Raises ValueError where the request is none.
        """
        asked = x509.load_pem_x509_csr(request.encode())
        key = asked.public_key()
        if not isinstance(key, Ed25519PublicKey) or not _is_signed(asked):
            raise ValueError("no request for a plane's certificate")
        number = x509.random_serial_number()
        known = serial or f"{number:x}"
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, plane), x509.NameAttribute(NameOID.SERIAL_NUMBER, known)])
        made = _about(subject, key, self._certificate.subject, PLANE_LIFE, number)
        made = _end(made, ExtendedKeyUsageOID.CLIENT_AUTH)
        return _pem(made.sign(self._key, None)), known

    def listener(self) -> ssl.SSLContext:
        """TLS 1.3 for control's listener; a plane may show a certificate, and one that is shown is checked."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self.pem)
        key = Ed25519PrivateKey.generate()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SERVER)])
        made = _about(subject, key.public_key(), self._certificate.subject, _AUTHORITY_LIFE)
        made = _end(made, ExtendedKeyUsageOID.SERVER_AUTH).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(SERVER)]), critical=False
        )
        _load(context, _pem(made.sign(self._key, None)), key)
        return context


def peer_of(certificate: bytes) -> Peer:
    """Whom a certificate names that TLS has checked; DER. Raises ValueError where it is no plane's."""
    subject = x509.load_der_x509_certificate(certificate).subject
    found = [subject.get_attributes_for_oid(oid) for oid in (NameOID.COMMON_NAME, NameOID.SERIAL_NUMBER)]
    if not all(found):
        raise ValueError("no plane's certificate")
    return Peer(str(found[0][0].value), str(found[1][0].value))


def _about(
    subject: x509.Name, key: Ed25519PublicKey, issuer: x509.Name, life: timedelta, number: int | None = None
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return builder.serial_number(number or x509.random_serial_number()).not_valid_before(now - _SKEW).not_valid_after(now + life)


def _end(builder: x509.CertificateBuilder, purpose: x509.ObjectIdentifier) -> x509.CertificateBuilder:
    """Of one who signs nothing but its own talk, for one purpose: a plane can't pass for control."""
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _is_signed(request: x509.CertificateSigningRequest) -> bool:
    try:
        return request.is_signature_valid
    except InvalidSignature:
        return False


def _load(context: ssl.SSLContext, certificate: str, key: Ed25519PrivateKey) -> None:
    """Give the context a key of this process alone. Python takes keys from files only: there it stands encrypted, for a moment."""
    password = os.urandom(32).hex().encode()
    sealed = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(password)
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "listener.pem"
        file.write_bytes(certificate.encode() + sealed)
        context.load_cert_chain(file, password=password)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
