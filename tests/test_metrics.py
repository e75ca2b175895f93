import re
from typing import get_args

from prometheus_client import Counter

from postel import metrics
from postel.core.fault import BASE
from postel.core.stream.policy import REPAIRS

COUNTERS = {name: value for name, value in vars(metrics).items() if isinstance(value, Counter)}


def test_every_metric_is_ours_by_name_and_says_what_it_counts() -> None:
    described = [family for counter in COUNTERS.values() for family in counter.collect()]

    assert [] == [family.name for family in described if not re.fullmatch(r"postel_[a-z_]+", family.name)]
    assert [] == [family.name for family in described if not family.documentation.endswith(".")]


def test_the_failures_of_postel_itself_have_the_name_of_the_design() -> None:
    (family,) = metrics.INTERNAL_ERRORS.collect()

    assert "postel_internal_errors_total" in {sample.name for sample in family.samples}


def test_labels_are_bounded_by_the_rules_and_never_by_traffic() -> None:
    labels = {label for counter in COUNTERS.values() for label in counter._labelnames}

    assert set() == labels & {"path", "request_id", "model", "client", "message", "host"}


def test_a_stream_ends_in_one_of_six_ways() -> None:
    outcomes = {"complete", "failed", "unfinished", "client_closed", "unguarded", "refused"}

    assert ("outcome",) == metrics.STREAMS._labelnames
    assert outcomes == set(get_args(metrics.Outcome))


def test_every_repair_and_every_dropped_event_is_counted_under_its_name() -> None:
    assert ("kind",) == metrics.REPAIRS._labelnames
    assert REPAIRS | {"malformed"} == frozenset(get_args(metrics.Repair))


def test_a_client_that_left_is_a_fault_that_no_rule_found_and_no_status_told() -> None:
    assert set(metrics.UNTOLD) == set(metrics.FAULTS._labelnames)
    assert metrics.UNTOLD["fault"] in BASE
