"""The entry: what is asked for, and the checks in their order."""

import warnings
from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

from manualgrad.gradcheck.checks import conduct, precision, use, values
from manualgrad.gradcheck.checks.second_order import differentiate_again
from manualgrad.gradcheck.clock import Clock, OutOfTimeError
from manualgrad.gradcheck.report import HINTS, Explain, Report
from manualgrad.gradcheck.session import Session
from manualgrad.gradcheck.subject import MisuseError, Subject
from manualgrad.gradcheck.tolerance import Tolerance

Check = Callable[[Session], None]

# Cheap and decisive first: what is found early explains what would be found late.
ALWAYS: list[Check] = [
    conduct.first_run,
    values.at_the_inputs,
    conduct.repeats,
    values.forward_agrees,
    conduct.shapes_and_dtypes,
    values.values_are_right,
]
# Only while nothing is wrong: each of these would find the same mistake again.
WHILE_RIGHT: list[Check] = [
    use.proportional,
    precision.own_dtype,
    use.each_input_alone,
    use.each_result_alone,
    conduct.works_twice,
    use.layouts,
]


def gradcheck(
    fn: Any,
    inputs: Any,
    reference: Callable[..., Any] | None = None,
    *,
    surrogate: Callable[..., Any] | None = None,
    allow: Collection[str] = (),
    rtol: float | None = None,
    atol: float | None = None,
    magnitudes: bool = True,
    second_order: bool = True,
    seed: int = 0,
    time_limit: float | None = 10.0,
    explain: Explain | None = None,
) -> Report:
    """Say whether a hand-written gradient is right; if not, where, by how much and why.

    Parameters
    ----------
    fn : Function class, nn.Module or callable
        What to check. Of a module the parameters are checked, too.
    inputs : Tensor or tuple
        The arguments; what is not a tensor is passed on as it is. Judged are the tensors that require grad;
        if none does, all of floating point. The caller's tensors are never changed.
    reference : callable, optional
        The same function by somebody trusted, with the same arguments; autograd supplies its gradient. Where
        the function has a kink, the reference decides.
    surrogate : callable, optional
        Another function whose gradient backward is meant to return: straight-through, spiking, quantising.
    allow : collection of str, default=()
        The kinds that are notes here, and do not make the report wrong: ``{"unsummed", "second-order"}``.
    rtol, atol : float, optional
        What may be off, relative to an element and in absolute terms; by default what the dtype and the
        function's own noise allow. For a solver with a tolerance of its own.
    magnitudes : bool, default=True
        Whether to look also at other inputs: 0.01 and 100 times those given, about 10 000, with zeros, tied.
    second_order : bool, default=True
        Whether to differentiate the gradient again.
    seed : int, default=0
        For the random upstream gradients.
    time_limit : float or None, default=10.0
        Seconds after which the check ends, and says what was not judged.
    explain : callable, optional
        Asked for an argument whose gradient is wrong in no plain way: given its name, it returns a kind and a
        sentence, or None.

    Returns
    -------
    Report
        ``report.ok``, ``report.findings``, and a table when printed. A wrong gradient never raises.

    Raises
    ------
    ValueError
        If no floating-point tensor is among the inputs or a complex one is to be judged, the reference
        raises on them, or ``allow`` names a kind that does not exist.

    Examples
    --------
    >>> class Double(torch.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, input):
    ...         return 2 * input
    ...     @staticmethod
    ...     def backward(ctx, grad_output):
    ...         return grad_output
    >>> report = gradcheck(Double, torch.randn(3, 2))
    >>> report.findings[0].kind
    'scale'
    """
    allow = {allow} if isinstance(allow, str) else set(allow)
    if unheard := sorted(allow - HINTS.keys()):
        raise MisuseError(
            f"allow: there is no kind {', '.join(unheard)}; expected some of {', '.join(HINTS)}"
        )
    if reference is not None and surrogate is not None:
        raise MisuseError("expected a reference or a surrogate, got both")
    clock = Clock(time_limit)
    subject = Subject(fn, inputs, clock)
    trusted = Subject(reference or surrogate, inputs, clock) if reference or surrogate else None
    if trusted is not None:
        trusted.checked = [i for i in subject.checked if i < len(trusted.values)]
    session = Session(
        subject,
        trusted,
        surrogate is not None,
        None if rtol is None and atol is None else Tolerance(rtol or 0.0, 0.0 if atol else 1e-6, atol or 0.0),
        allow,
        torch.Generator().manual_seed(seed),
        Report(subject.title, seed=seed),
        explain,
    )
    later = [*WHILE_RIGHT, *[use.other_inputs] * magnitudes, *[differentiate_again] * second_order]
    devices = {v.device.index or 0 for v in subject.values if isinstance(v, Tensor) and v.is_cuda}
    with torch.random.fork_rng(devices), warnings.catch_warnings(), clock:
        try:
            for check in (*ALWAYS, *later):
                if not session.done and (session.report.ok or check in ALWAYS):
                    _attempt(check, session)
                    warnings.simplefilter("ignore")  # what the subject has to warn of, it has by now
        except OutOfTimeError:
            _say_what_is_left(session)
        finally:
            for each in (subject, trusted):
                if each is not None:
                    each.hold(each.own)
    session.report.conclude()
    return session.report


def _attempt(check: Check, session: Session) -> None:
    """Run one check; what the checker itself stumbles over is not the subject's fault."""
    try:
        check(session)
    except MisuseError:
        raise
    except Exception as error:
        what = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        message = f"Not judged: gradcheck's own {check.__name__.replace('_', ' ')} raised {what}."
        session.done = "base" not in vars(session)
        session.find("unknown", None, message, wrong=session.done)


def _say_what_is_left(session: Session) -> None:
    """Report what was not judged when the time was over."""
    within = f"within {session.subject.clock.limit:g} s"
    if "base" not in vars(session):
        session.find("raises", None, f"Not judged {within}: time_limit allows more.")
    elif wrong := [session.subject.name_of(i) for i, m in session.base.measured.items() if m.is_wrong]:
        if session.report.ok:
            message = f"The gradient of {', '.join(wrong)} is wrong; how was not found {within}."
            session.find("unknown", None, message)
    else:
        message = f"Right at the inputs; all else was not judged {within}."
        session.find("unknown", None, message, wrong=False)
