"""More than ten thousand requests of real clients (:mod:`clients`): none is stopped, with grammar and shields on."""

from __future__ import annotations

from gambeson.model.web import Lane, Product
from guard.core.web.asking import ask, hit, route
from guard.core.web.clients import Clients

WANTED = 10_000


def test_nothing_that_a_real_client_asks_is_stopped() -> None:
    seen, stopped = 0, []
    for product, method, target, headers, body in Clients(3).all(WANTED + 2_000):
        request = ask(method, target, headers, body=body)
        found, where = hit(product, request), route(product, request)
        seen += 1
        if found is not None or where.lane is Lane.NEVER:
            stopped.append((product.value, method, target, found.name if found else where.rule))
    assert seen >= WANTED
    assert stopped == []


def test_the_corpus_would_notice_a_grammar_that_is_too_narrow() -> None:
    """The same corpus at another product's grammar is mostly refused: the test can fail."""
    wrong = [
        route(Product.ROUNDCUBE, ask(method, target, headers, body=body)).lane is Lane.NEVER
        for product, method, target, headers, body in Clients(4).all(500)
        if product is Product.EXCHANGE
    ]
    assert sum(wrong) > len(wrong) * 0.9
