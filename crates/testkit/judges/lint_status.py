"""Lints CRLs and OCSP responses against RFC 5280 and RFC 6960 with pkilint, many in one process.

Reads {"documents": [{"name": text, "kind": "crl" or "ocsp", "der": hexadecimal}]} from standard input and prints one
line for each finding: severity, name, code, where, message, separated by tabs.
"""

import json
import sys

from pkilint import loader, pkix
from pkilint.pkix import crl, extension, name, ocsp

DECODERS = [
    pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
    pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
]


def crl_linter():
    return crl.create_pkix_crl_validator_container(
        DECODERS,
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )


def ocsp_linter():
    return ocsp.create_pkix_ocsp_response_validator_container([ocsp.create_response_decoder(), *DECODERS], [])


KINDS = {
    "crl": (loader.RFC5280CertificateListDocumentLoader, crl_linter),
    "ocsp": (loader.RFC6960OCSPResponseDocumentLoader, ocsp_linter),
}


def findings(rules, document):
    for result in rules.validate(document.root):
        for described in result.finding_descriptions:
            yield described.finding.severity.name, described.finding.code, result.node.path, described.message or ""


def main():
    for asked in json.load(sys.stdin)["documents"]:
        reader, linter = KINDS[asked["kind"]]
        try:
            document = reader().load_document(bytes.fromhex(asked["der"]), asked["name"])
            found = list(findings(linter(), document))
        except Exception as error:  # noqa: BLE001 - what cannot be read is the worst finding
            found = [("FATAL", "unreadable", "", f"{type(error).__name__} {error}")]
        for severity, code, where, message in found:
            print("\t".join([severity, asked["name"], code, where, " ".join(message.split())]))


main()
