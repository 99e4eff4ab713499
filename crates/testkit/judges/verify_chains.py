"""Verifies certificate chains with pyca/cryptography, the one judge here that knows ML-DSA.

Reads {"at": seconds, "chains": [{"name": text, "certificates": [PEM, leaf first, root last]}]} from standard input and
prints one line for each fault. Says nothing about a chain without fault.
"""

import json
import sys
from datetime import datetime, timezone

from cryptography import x509


def faults(certificates, at):
    for position, certificate in enumerate(certificates):
        where = f"certificate {position} ({certificate.subject.rfc4514_string()})"
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            yield f"{where} is not valid at {at.isoformat()}"
        issuer = certificates[min(position + 1, len(certificates) - 1)]
        try:
            certificate.verify_directly_issued_by(issuer)  # names and signature
        except Exception as error:  # noqa: BLE001 - whatever it says is the verdict
            yield f"{where} is not issued by the next: {type(error).__name__} {error}"
        if position > 0:
            yield from issuer_faults(certificate, where, intermediates_below=position - 1)


def issuer_faults(certificate, where, intermediates_below):
    """RFC 5280 §6.1.4 (k) to (n): an issuer is a CA, may sign certificates, and allows the path below it."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        yield f"{where} signs without {error.oid.dotted_string}"
        return
    if not (constraints.critical and constraints.value.ca):
        yield f"{where} signs and is no CA"
    if not usage.key_cert_sign:
        yield f"{where} signs without keyCertSign"
    length = constraints.value.path_length
    if length is not None and length < intermediates_below:
        yield f"{where} allows {length} CAs below it, and has {intermediates_below}"


def main():
    asked = json.load(sys.stdin)
    at = datetime.fromtimestamp(asked["at"], tz=timezone.utc)
    for chain in asked["chains"]:
        try:
            certificates = [x509.load_pem_x509_certificate(pem.encode()) for pem in chain["certificates"]]
            found = list(faults(certificates, at))
        except Exception as error:  # noqa: BLE001
            found = [f"cannot be read: {type(error).__name__} {error}"]
        for fault in found:
            print(f"{chain['name']}: {fault}")


main()
