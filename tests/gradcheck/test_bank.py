"""The checker against its banks: every wrong backward is rejected and named, no right one is rejected."""

import pytest
import torch

from manualgrad.gradcheck import Report, gradcheck
from manualgrad.gradcheck.report import HINTS
from tests.gradcheck import bank_forms, bank_kernels, bank_practice, bank_right, bank_wrong
from tests.gradcheck.bank import Entry
from tests.gradcheck.gallery import GALLERY, Fault

WRONG = bank_wrong.BANK + bank_kernels.WRONG + bank_practice.WRONG
RIGHT = bank_right.BANK + bank_kernels.RIGHT + bank_forms.RIGHT + bank_practice.RIGHT

# Right where they are meant to be used, with a note all the same.
NOTED = {
    "KeptInATuple": "second-order",  # which is allowed there
    "adjoint": "second-order",
    "FirstOrderAndSaysSo": "second-order",
    "log from 0.1 on": "unknown",
    "Slow": "unknown",
}


def check(entry: Entry, seed: int = 0) -> Report:
    return gradcheck(entry.fn, entry.inputs(), entry.reference, seed=seed, **entry.options)


@pytest.mark.parametrize("entry", WRONG, ids=lambda entry: entry.name)
def test_a_wrong_backward_is_rejected_and_named(entry: Entry):
    report = check(entry)
    assert not report.ok, str(report)
    assert report.findings[0].kind == entry.kind, str(report)


@pytest.mark.parametrize("entry", RIGHT, ids=lambda entry: entry.name)
def test_a_right_backward_is_not_rejected(entry: Entry):
    report = check(entry)
    assert report.ok, str(report)
    assert {finding.kind for finding in report.findings} <= {"kink", NOTED.get(entry.name)}, str(report)


@pytest.mark.parametrize("fault", GALLERY, ids=lambda fault: fault.thread)
def test_a_real_fault_is_rejected_and_named(fault: Fault):
    report = gradcheck(fault.fn, fault.inputs(), fault.reference)
    assert not report.ok, str(report)
    assert report.findings[0].kind == fault.kind, str(report)


def test_every_kind_has_a_planted_mistake():
    assert {entry.kind for entry in WRONG} == set(HINTS)


@pytest.mark.parametrize("entry", WRONG[::9], ids=lambda entry: entry.name)
def test_the_name_does_not_depend_on_the_seed(entry: Entry):
    report = check(entry, seed=17)
    assert report.findings[0].kind == entry.kind, str(report)


def test_nothing_of_the_process_is_left_changed():
    before = torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    check(bank_right.BANK[0])
    assert torch.are_deterministic_algorithms_enabled() == before
    assert torch.utils.deterministic.fill_uninitialized_memory == fill
