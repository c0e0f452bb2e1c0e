"""Orders, in memory: enough of a service to be worth an image."""

from bottle import Bottle, HTTPError, request

app = Bottle()
orders: dict[int, dict[str, object]] = {}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


@app.post("/orders")
def create() -> dict[str, object]:
    body = request.json or {}
    if not isinstance(body.get("item"), str):
        raise HTTPError(400, "an order needs an item")
    number = len(orders) + 1
    orders[number] = {"id": number, "item": body["item"], "amount": int(body.get("amount", 1))}
    return orders[number]
