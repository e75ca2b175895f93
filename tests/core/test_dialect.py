from functools import cache

import pytest

from postel.core import regex
from postel.core.addition import Addition
from postel.core.dialect import Dialect, Terms
from postel.core.fault import BASE, FaultRow, Faults
from postel.rulefile.load import Loaded
from tests.contracts import CONTRACTS, GATEWAY_CODES, ROUTER_CODES, Row
from tests.library import built_in

FAULTS = Faults(
    {
        **BASE,
        "gpu_quota": FaultRow(retry_after=3600, message="The GPU quota is used up."),
        "team_gpu_quota": FaultRow(),
    },
    {"gpu_quota": "quota_exhausted", "team_gpu_quota": "gpu_quota"},
)

# DESIGN section 3: fault -> status, type, code, retryable, default wait.
OPENAI = {
    "malformed_request": (400, "invalid_request_error", "malformed_request", False, 0),
    "invalid_parameter": (400, "invalid_request_error", "invalid_parameter", False, 0),
    "unprocessable": (422, "invalid_request_error", "unprocessable", False, 0),
    "context_length_exceeded": (400, "invalid_request_error", "context_length_exceeded", False, 0),
    "content_filtered": (400, "invalid_request_error", "content_filter", False, 0),
    "authentication_failed": (401, "invalid_request_error", "invalid_api_key", False, 0),
    "token_expired": (401, "invalid_request_error", "token_expired", False, 0),
    "payment_required": (402, "insufficient_quota", "insufficient_quota", False, 0),
    "quota_exhausted": (429, "insufficient_quota", "insufficient_quota", False, 0),
    "permission_denied": (403, "permission_error", "permission_denied", False, 0),
    "model_not_found": (404, "invalid_request_error", "model_not_found", False, 0),
    "endpoint_not_found": (404, "invalid_request_error", "unknown_url", False, 0),
    "method_not_allowed": (405, "invalid_request_error", "method_not_allowed", False, 0),
    "payload_too_large": (413, "invalid_request_error", "payload_too_large", False, 0),
    "unsupported_media_type": (415, "invalid_request_error", "unsupported_media_type", False, 0),
    "request_timeout": (408, "invalid_request_error", "request_timeout", True, 1),
    "conflict": (409, "invalid_request_error", "conflict", True, 1),
    "rate_limited": (429, "rate_limit_error", "rate_limit_exceeded", True, 5),
    "internal": (500, "server_error", "internal_error", True, 0),
    "engine_crashed": (500, "server_error", "engine_crashed", True, 10),
    "out_of_memory": (500, "server_error", "out_of_memory", True, 5),
    "not_implemented": (501, "server_error", "not_implemented", False, 0),
    "bad_gateway": (502, "server_error", "bad_gateway", True, 0),
    "upstream_unreachable": (502, "server_error", "upstream_unreachable", True, 5),
    "overloaded": (503, "server_error", "server_is_overloaded", True, 5),
    "unavailable": (503, "server_error", "service_unavailable", True, 10),
    "model_loading": (503, "server_error", "model_loading", True, 20),
    "timeout": (504, "server_error", "timeout", True, 0),
    "stream_interrupted": (502, "server_error", "stream_interrupted", True, 0),
    "stream_stalled": (504, "server_error", "stream_stalled", True, 0),
    "stream_malformed": (502, "server_error", "stream_malformed", True, 0),
}
MISREAD = ("invalid", "bad_request", "not_found", "permission", "authentication", "rate_limit", "insufficient_quota")


@pytest.mark.parametrize("fault", OPENAI)
def test_the_openai_dialect_tells_each_fault_as_the_design_says(fault: str) -> None:
    terms = built_in().dialects["openai"].terms(fault, Faults(BASE))

    assert OPENAI[fault] == (terms.status, terms.type, terms.code, terms.retryable, terms.retry_after)
    assert terms.message.endswith(".")


def test_every_base_fault_has_a_row_in_the_design_but_the_one_that_is_never_sent() -> None:
    assert {*OPENAI, "client_closed"} == set(BASE)


def test_no_code_of_a_server_error_has_a_word_that_a_client_takes_for_its_own_mistake() -> None:
    told = {code for status, _, code, _, _ in OPENAI.values() if status >= 500}

    assert set() == {code for code in told if any(word in code for word in MISREAD)}


def test_a_finer_fault_says_what_its_parent_says_unless_it_says_otherwise() -> None:
    terms = Dialect("bare").terms("team_gpu_quota", FAULTS)

    assert (429, 3600, "The GPU quota is used up.") == (terms.status, terms.retry_after, terms.message)
    assert "quota_exhausted" == terms.code


def test_the_nearest_source_wins_for_each_field_by_itself() -> None:
    dialect = Dialect(
        "acme",
        rows={
            "quota_exhausted": FaultRow(status=402, type="billing", code="quota", retry_after=60),
            "gpu_quota": FaultRow(code="gpu"),
        },
    )

    terms = dialect.terms("gpu_quota", FAULTS)

    assert "gpu" == terms.code  # the dialect on this fault
    assert 3600 == terms.retry_after  # the pack on this fault, before the dialect on the parent
    assert (402, "billing") == (terms.status, terms.type)  # the dialect on the parent, before the base table


def test_a_dialect_may_take_a_default_away() -> None:
    dialect = Dialect("acme", rows={"rate_limited": FaultRow(retryable=False, retry_after=0)})

    terms = dialect.terms("rate_limited", FAULTS)

    assert (False, 0) == (terms.retryable, terms.retry_after)


def test_kept_codes_pass_on_their_fault_and_on_what_is_finer() -> None:
    dialect = Dialect(
        "acme", keep_codes=frozenset({"any"}), keep_codes_of={"quota_exhausted": frozenset({"plan_used"})}
    )

    assert "any" == dialect.terms("internal", FAULTS, "any").code
    assert "plan_used" == dialect.terms("quota_exhausted", FAULTS, "plan_used").code
    assert "plan_used" == dialect.terms("gpu_quota", FAULTS, "plan_used").code
    assert "internal" == dialect.terms("internal", FAULTS, "plan_used").code
    assert "internal" == dialect.terms("internal", FAULTS, 500).code


def test_an_unknown_fault_is_an_error_and_no_guess() -> None:
    with pytest.raises(KeyError):
        Dialect("bare").terms("made_up", FAULTS)


def test_a_type_of_its_own_inside_streams_is_for_what_is_not_the_clients_fault() -> None:
    dialect = Dialect("acme", stream_type="engine_error")

    told = {fault: dialect.terms(fault, FAULTS).stream_type for fault in FAULTS}
    assert {fault for fault in FAULTS if dialect.terms(fault, FAULTS).blame != "client"} == {
        fault for fault, type in told.items() if type == "engine_error"
    }
    assert ("server_error", "engine_error") == (
        dialect.terms("timeout", FAULTS).type,
        dialect.terms("timeout", FAULTS).stream_type,
    )
    assert (
        "insufficient_quota"
        == Dialect("x", {"gpu_quota": FaultRow(type="insufficient_quota")}).terms("gpu_quota", FAULTS).stream_type
    )


def test_what_a_message_must_not_lack_is_that_of_the_nearest_fault_which_says_anything() -> None:
    far, near = (Addition((regex.compile(text),), text) for text in ("far", "near"))
    dialect = Dialect("acme", says={"quota_exhausted": (far,), "gpu_quota": (near,)})
    silenced = Dialect("acme", says={"quota_exhausted": (far,), "team_gpu_quota": ()})

    assert (far,) == dialect.terms("quota_exhausted", FAULTS).additions
    assert (near,) == dialect.terms("team_gpu_quota", FAULTS).additions
    assert () == silenced.terms("team_gpu_quota", FAULTS).additions == dialect.terms("internal", FAULTS).additions


# The dialects as shipped, against the documents ----------------------------------------------------------------------


@cache
def loaded() -> Loaded:
    return built_in()


def terms(dialect: str, fault: str) -> Terms:
    return loaded().dialects[dialect].terms(fault, loaded().rules.faults)


ROWS = [(dialect, row, fault) for dialect, rows in CONTRACTS.items() for row in rows for fault in row.faults]


@pytest.mark.parametrize(
    ("dialect", "row", "fault"), ROWS, ids=lambda value: str(value.status) if isinstance(value, Row) else value
)
def test_a_dialect_keeps_every_row_of_its_document(dialect: str, row: Row, fault: str) -> None:
    told = terms(dialect, fault)

    assert row.status == told.status
    assert row.type in (None, told.type)
    assert row.code in (None, told.code)
    assert row.retried in (None, told.retryable)


@pytest.mark.parametrize("dialect", [name for name in CONTRACTS if name != "anthropic"])
def test_where_the_document_is_silent_a_fault_keeps_the_status_and_the_retry_of_http(dialect: str) -> None:
    named = {fault for row in CONTRACTS[dialect] for fault in row.faults}
    silent = [fault for fault in BASE if fault not in named]
    if dialect == "budget-gateway":  # "Retry 429 and 5xx. Don't retry other 4xx codes": this says something of each
        silent = [fault for fault in silent if terms(dialect, fault).retryable == terms("openai", fault).retryable]

    assert {fault: (terms("openai", fault).status, terms("openai", fault).retryable) for fault in silent} == {
        fault: (terms(dialect, fault).status, terms(dialect, fault).retryable) for fault in silent
    }


def test_the_gateway_with_budgets_has_429_and_5xx_retried_and_nothing_else() -> None:
    faults = [fault for fault in BASE if fault != "client_closed"]

    assert {fault: terms("budget-gateway", fault).retryable for fault in faults} == {
        fault: (status := terms("budget-gateway", fault).status) == 429 or status >= 500 for fault in faults
    }


def test_of_the_statuses_that_cai_names_each_is_retried_or_not_as_it_says() -> None:
    safe, useless = {408, 429, 500, 502, 503, 504}, {400, 401, 402, 403, 404}
    told = [terms("cai", fault) for fault in BASE if fault != "client_closed"]

    assert safe <= {each.status for each in told if each.retryable}
    assert useless <= {each.status for each in told if not each.retryable}
    assert set() == {each.status for each in told if not each.retryable} & safe
    assert set() == {each.status for each in told if each.retryable} & useless


@pytest.mark.parametrize(("dialect", "codes"), [("siati-router", ROUTER_CODES), ("budget-gateway", GATEWAY_CODES)])
def test_every_code_of_a_document_is_said_of_some_fault(dialect: str, codes: list[str]) -> None:
    assert set(codes) <= {terms(dialect, fault).code for fault in loaded().rules.faults}


@pytest.mark.parametrize("fault", ["malformed_request", "invalid_parameter"])
def test_the_router_has_one_code_for_bad_requests_whatever_the_upstream_called_them(fault: str) -> None:
    faults = loaded().rules.faults
    assert "bad_request" == loaded().dialects["siati-router"].terms(fault, faults, "unknown_parameter").code
    assert (
        "unknown_parameter" == loaded().dialects["siati"].terms("invalid_parameter", faults, "unknown_parameter").code
    )


@pytest.mark.parametrize("name", ["siati", "siati-router", "budget-gateway", "cai"])
def test_the_keys_are_in_the_order_of_the_document_and_param_is_there_as_well(name: str) -> None:
    documented = ("type", "code", "message") if name == "siati" else ("message", "type", "code")

    assert (*documented, "param", "details") == loaded().dialects[name].keys


@pytest.mark.parametrize(
    ("fault", "parent"),
    [
        ("daily_quota_exhausted", "quota_exhausted"),
        ("unknown_tier", "invalid_parameter"),
        ("tier_not_allowed", "permission_denied"),
        ("account_disabled", "permission_denied"),
        ("kb_not_found", "endpoint_not_found"),
    ],
)
def test_a_platforms_own_fault_is_its_parent_to_openais_clients(fault: str, parent: str) -> None:
    assert terms("openai", parent) == terms("openai", fault)


def test_every_error_inside_a_stream_of_the_gateway_with_budgets_is_the_engines() -> None:
    assert "engine_error" == terms("budget-gateway", "timeout").stream_type
    assert "engine_error" == terms("budget-gateway", "upstream_unreachable").stream_type
    assert "rate_limit_error" == terms("budget-gateway", "rate_limited").stream_type


def test_anthropics_types_are_the_only_ones_in_its_dialect() -> None:
    words = {row.type for row in CONTRACTS["anthropic"]}

    assert words == {terms("anthropic", fault).type for fault in BASE}


def test_each_dialect_that_is_no_openais_shape_says_so() -> None:
    shapes = {name: dialect.envelope for name, dialect in loaded().dialects.items() if dialect.envelope != "openai"}

    assert {"anthropic": "anthropic", "problem": "problem"} == shapes
