import re

from prometheus_client import Counter

from postel import metrics

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
