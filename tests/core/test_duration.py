import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.duration import is_usable, parse_duration, parse_number, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20ms", 0.02),
        ("6.2s", 6.2),
        ("6m0s", 360.0),
        ("2h", 7200.0),
        ("1h2m3s", 3723.0),
        ("856.421ms", 0.856421),
        ("04:00:00", 14400.0),
        ("14.07:13:56", 1235636.0),
        ("1 minute 30 seconds", 90.0),
        ("1 minute and 5 seconds", 65.0),
        ("30 second(s)", 30.0),
        ("1d", 86400.0),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    assert seconds == pytest.approx(parse_duration(text))


@pytest.mark.parametrize("text", ["", "5", "-5s", "5 apples", "s", "5s later", "nan s", "1e3s", "１s", "1" * 70 + "s"])
def test_anything_else_is_none(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("30", 30.0), (" 6.2 ", 6.2), ("-1", -1.0), ("1e9", None), ("nan", None), ("inf", None), ("", None)],
)
def test_a_number_is_plain_decimal(text: str, number: float | None) -> None:
    assert number == parse_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 20 Nov 2026 15:41:00 GMT",  # the three forms of RFC 9110 section 5.6.7
        "Friday, 20-Nov-26 15:41:00 GMT",
        "Fri Nov 20 15:41:00 2026",
        "2026-11-20T15:41:00Z",  # RFC 3339
        "2026-11-20T17:41:00+02:00",
        "2026-11-20 15:41:00",
    ],
)
def test_http_and_rfc_3339_dates_are_the_same_moment(text: str) -> None:
    assert parse_time(text) == 1795189260


@pytest.mark.parametrize("text", ["", "soon", "tomorrow at noon", "2026-13-45T99:99:99Z", "Fri, 99999999999 Nov 2026"])
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_time(text) is None


@pytest.mark.parametrize("seconds", [0.02, 1, 366 * 86400])
def test_a_wait_of_up_to_a_year_is_usable(seconds: float) -> None:
    assert is_usable(seconds)


@pytest.mark.parametrize("seconds", [None, 0, -1, math.nan, math.inf, 366 * 86400 + 1])
def test_no_wait_a_wait_in_the_past_or_for_ever_is_not(seconds: float | None) -> None:
    assert not is_usable(seconds)


@given(st.text(alphabet="0123456789.:,+-TZ smhdnuFriNovGMT１µ", max_size=70))
def test_no_text_makes_a_reader_raise(text: str) -> None:
    duration, number, time = parse_duration(text), parse_number(text), parse_time(text)

    assert duration is None or duration >= 0
    assert number is None or math.isfinite(number)
    assert time is None or math.isfinite(time)
