"""A mail server and an https server that write down what they are given.

Usage: sinks.py FOLDER. Writes FOLDER/ca.pem, prints one line of JSON with the ports, and runs until its input ends.
What came is appended to FOLDER/received.jsonl before it is answered; FOLDER/answer.json says how to answer next.
"""

import asyncio
import datetime
import email
import email.policy
import hashlib
import hmac
import http.server
import ipaddress
import json
import pathlib
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

FOLDER = pathlib.Path(sys.argv[1])
LOCK = threading.Lock()


def record(entry):
    with LOCK, open(FOLDER / "received.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def answer():
    return json.loads((FOLDER / "answer.json").read_text())


def certificates():
    """A CA and a certificate for this machine, good on the day the test runs: TLS has no clock that a test could move."""
    now = datetime.datetime.now(datetime.timezone.utc)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Sinks")])
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sink")])

    def built(subject, public_key):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
        )

    ca = built(ca_name, ca_key.public_key()).add_extension(x509.BasicConstraints(True, None), True).sign(ca_key, hashes.SHA256())
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    leaf = (
        built(name, key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (FOLDER / "ca.pem").write_bytes(ca.public_bytes(pem))
    (FOLDER / "leaf.pem").write_bytes(
        leaf.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def signature_is_good(header, body):
    """As a receiver would check it, from the documentation alone."""
    fields = dict(part.split("=", 1) for part in header.split(","))
    expected = hmac.new(b"shared secret", fields["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, fields["v1"])


class Hooks(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        signature = self.headers.get("x-chancery-signature")
        record({
            "by": "https",
            "path": self.path,
            "type": self.headers.get("content-type"),
            "signed": signature is not None,
            "signatureGood": signature is not None and signature_is_good(signature, body),
            "signature": signature,
            "body": json.loads(body),
        })
        status = answer().get("https", 200)
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("location", "https://127.0.0.1/elsewhere")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Mails:
    async def handle_DATA(self, _server, _session, envelope):
        parsed = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        record({
            "by": "smtp",
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in parsed.items()},
            "subject": str(parsed["subject"]),
            "kind": parsed.get_content_type(),
            "text": parsed.get_content(),
        })
        return answer().get("smtp", "250 OK")


def main():
    (FOLDER / "received.jsonl").touch()
    if not (FOLDER / "answer.json").exists():
        (FOLDER / "answer.json").write_text("{}")
    certificates()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "leaf.pem")
    hooks = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hooks)
    hooks.daemon_threads = True
    hooks.socket = context.wrap_socket(hooks.socket, server_side=True)
    threading.Thread(target=hooks.serve_forever, daemon=True).start()

    async def serve():
        loop = asyncio.get_running_loop()
        mails = await loop.create_server(lambda: SMTP(Mails(), enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0)
        ports = {"smtp": mails.sockets[0].getsockname()[1], "https": hooks.server_address[1]}
        print(json.dumps(ports), flush=True)
        await loop.run_in_executor(None, sys.stdin.read)

    asyncio.run(serve())


main()
