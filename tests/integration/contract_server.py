#!/usr/bin/python3
"""A black box: a program that serves the runtime contract by itself."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

INITS = []


class Contract(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/init":
            INITS.append(document)
            answer: object = {}
        else:
            answer = {"box": document["value"], "inits": len(INITS)}
            for descriptor in (1, 2):
                os.write(descriptor, b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n")
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Contract).serve_forever()
