import io
import json
import unittest

from api.app import app


def call(method: str, path: str, body: bytes = b"") -> tuple[str, dict]:
    status = []
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SERVER_NAME": "test", "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(body), "wsgi.errors": io.StringIO(), "wsgi.url_scheme": "http",
        "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json",
    }
    out = b"".join(app(environ, lambda code, headers, exc_info=None: status.append(code)))
    return status[0], json.loads(out) if out.startswith(b"{") else {}


class Orders(unittest.TestCase):
    def test_health(self) -> None:
        self.assertEqual(call("GET", "/health"), ("200 OK", {"status": "ok"}))

    def test_an_order_gets_a_number(self) -> None:
        status, order = call("POST", "/orders", b'{"item": "bread", "amount": 2}')
        self.assertEqual((status, order["item"], order["amount"]), ("200 OK", "bread", 2))

    def test_an_order_needs_an_item(self) -> None:
        self.assertTrue(call("POST", "/orders", b"{}")[0].startswith("400"))


if __name__ == "__main__":
    unittest.main()
