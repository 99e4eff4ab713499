"""Lints certificates against RFC 5280 with pkilint, many in one process.

Reads {"certificates": [{"name": text, "pem": text}]} from standard input and prints one line for each finding:
severity, name, code, where, message, separated by tabs.
"""

import json
import sys

from pkilint import loader
from pkilint.pkix import certificate, extension, name


def linter():
    return certificate.create_pkix_certificate_validator_container(
        certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            certificate.create_issuer_validator_container([]),
            certificate.create_validity_validator_container(),
            certificate.create_subject_validator_container([]),
            certificate.create_extensions_validator_container([]),
            certificate.create_spki_validator_container([]),
        ],
    )


def findings(rules, document):
    for result in rules.validate(document.root):
        for described in result.finding_descriptions:
            yield described.finding.severity.name, described.finding.code, result.node.path, described.message or ""


def main():
    rules = linter()
    reader = loader.RFC5280CertificateDocumentLoader()
    for asked in json.load(sys.stdin)["certificates"]:
        try:
            document = reader.load_pem_document(asked["pem"], asked["name"])
            found = list(findings(rules, document))
        except Exception as error:  # noqa: BLE001 - what cannot be read is the worst finding
            found = [("FATAL", "unreadable", "", f"{type(error).__name__} {error}")]
        for severity, code, where, message in found:
            print("\t".join([severity, asked["name"], code, where, " ".join(message.split())]))


main()
