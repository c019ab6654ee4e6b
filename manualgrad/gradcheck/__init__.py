"""A gradient checker that says why: see :func:`gradcheck`."""

from manualgrad.gradcheck.entry import gradcheck
from manualgrad.gradcheck.report import Finding, Report

__all__ = ["Finding", "Report", "gradcheck"]
