"""A container engine that has one container, answers as Docker does, and writes down what it is asked."""
import http.server
import json
import socketserver
import sys

path, log, prod = sys.argv[1:4]
CONTAINERS = [{
    "Id": prod, "Names": ["/prod-db"], "Image": "postgres:16", "State": "running", "Labels": {},
    "Ports": [{"IP": "0.0.0.0", "PrivatePort": 5432, "PublicPort": 5432, "Type": "tcp"}],
    "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
}]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        with open(log, "a") as lines:
            print(self.command, self.path, file=lines)
        is_version = self.path.endswith("/version")
        body = json.dumps({"ApiVersion": "1.43", "MinAPIVersion": "1.24"} if is_version else CONTAINERS).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


with Server(path, Handler) as server:
    print("ready", flush=True)
    server.serve_forever()
