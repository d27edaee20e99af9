"""GET /totals: what came in and went back."""

from tests.adapters.http.local import LocalService, problem
from tests.adapters.providers.sevi_bodies import order_webhook


def test_totals_are_by_day_provider_currency_and_status(local: LocalService) -> None:
    local.deliver(order_webhook())
    local.deliver(order_webhook(), "sevi-uganda")
    local.settle()
    (delivered, *_) = local.json("/orders", status="DELIVERED")["items"]
    day = delivered["delivered_at"][:10]
    items = local.json("/totals")["items"]
    assert items == [
        {
            "day": day,
            "provider": provider,
            "currency": "KES",
            "status": "PAID",
            "payments": 1,
            "amount": "902.10",
            "unknown": 0,
        }
        for provider in ("sevi", "sevi-uganda")
    ]
    assert local.json("/totals", store="uganda")["items"] == items[1:]
    assert local.json("/totals", from_=day)["items"] == items
    assert local.json("/totals", to=day)["items"] == []
    lines = local.get("/totals", format="csv").text.splitlines()
    assert lines[0] == "day,provider,currency,status,payments,amount,unknown"
    assert lines[1] == f"{day},sevi,KES,PAID,1,902.10,0"


def test_a_day_that_is_none_is_named(local: LocalService) -> None:
    assert "from" in problem(local.get("/totals", from_="yesterday"), 422)
