import gc
from typing import cast

import pytest
from mitmproxy.test import tflow

from postel.proxy.exchange import REQUEST_HOLD, Exchange, Exchanges, Tee


def test_a_tee_passes_everything_on_and_keeps_the_beginning() -> None:
    tee = Tee(lambda _: True, room=4)

    assert b"abcdef" == b"".join(tee(data) for data in (b"ab", b"cd", b"ef", b""))
    assert b"abcd" == bytes(tee.seen)


def test_a_tee_keeps_nothing_more_once_it_may_not() -> None:
    answers = iter([True, False, True])
    tee = Tee(lambda _: next(answers))

    assert b"abcdef" == b"".join(tee(data) for data in (b"ab", b"cd", b"ef", b""))
    assert b"ab" == bytes(tee.seen)


def test_a_request_is_held_up_to_one_mebibyte() -> None:
    assert 1024 * 1024 == REQUEST_HOLD == Tee(lambda _: True).room


def test_an_exchange_is_found_by_its_flow_and_goes_with_it() -> None:
    exchanges, flow, other = Exchanges(), tflow.tflow(), tflow.tflow()
    exchange = cast("Exchange", object())
    exchanges[flow] = exchange

    assert exchange is exchanges[flow] is exchanges.get(flow)
    assert None is exchanges.get(other)
    with pytest.raises(KeyError):
        exchanges[other]
    del flow
    gc.collect()
    assert [] == list(exchanges._by_flow)
