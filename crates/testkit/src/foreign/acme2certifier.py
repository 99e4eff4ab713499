"""Serves acme2certifier over TLS: argument 1 is the port, the folder of cert.pem and key.pem is the current one."""

import os
import ssl
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

from acme2certifier.share.acme2certifier_wsgi import CONFIG, application, get_handler_cls


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Handler(get_handler_cls()):
    timeout = 60

    def get_environ(self):
        # It keeps what it has read at its start; tests change the renewal information that it gives.
        CONFIG.read(os.environ["ACME_SRV_CONFIGFILE"])
        environ = super().get_environ()
        environ["HTTPS"] = "on"
        environ["HTTP_X_FORWARDED_PROTO"] = "https"
        return environ


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
server = make_server("127.0.0.1", int(sys.argv[1]), application, server_class=Server, handler_class=Handler)
# The handshake belongs into the connection's own thread: whoever connects and says nothing must not hold up the others.
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
