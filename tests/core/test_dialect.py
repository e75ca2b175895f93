import pytest

from postel.core.dialect import Dialect
from postel.core.fault import BASE, FaultRow, Faults
from postel.rulefile.load import load_rules

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
    terms = load_rules().dialects["openai"].terms(fault, Faults(BASE))

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
