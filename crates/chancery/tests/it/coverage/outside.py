"""What external CAs answer when they are set up, and nothing more: enough for routes to be tried.

Arguments: folder with cert.pem and key.pem. Prints the port on the first line.
"""

import http.server
import json
import ssl
import sys

folder = sys.argv[1]


class Outside(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        base = "https://" + self.headers["Host"]
        names = ["newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"]
        directory = {name: base + "/acme/" + name for name in names}
        account = {"status": "valid", "orders": base + "/acme/orders/1"}
        known = {
            # RFC 8555. Orders are never answered, so requests stay pending.
            "GET /acme/directory": (200, directory),
            "HEAD /acme/newNonce": (200, {}),
            "POST /acme/newAccount": (201, account),
            "POST /acme/account/1": (200, account),
            "POST /acme/keyChange": (200, {}),
            # Vault and OpenBao.
            "GET /v1/auth/token/lookup-self": (200, {"data": {"ttl": 0, "policies": ["web"]}}),
            "GET /v1/pki/roles/web": (200, {"data": {"key_type": "any"}}),
            # CertCentral.
            "GET /services/v2/user/me": (200, {"id": 1}),
            "GET /services/v2/organization/42": (200, {"id": 42, "name": "Acme", "status": "active"}),
            "GET /services/v2/product/ssl_plus": (200, {"name": "Standard SSL"}),
        }
        status, value = known.get(f"{self.command} {self.path}", (503, {"detail": "not today"}))
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Replay-Nonce", "nonce")
        if self.path == "/acme/newAccount":
            self.send_header("Location", base + "/acme/account/1")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_HEAD = do_POST = answer

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Outside)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
