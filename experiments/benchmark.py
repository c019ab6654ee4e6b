"""Does it cost anything that every gradient was written by hand?

    python experiments/benchmark.py
    python experiments/benchmark.py mnist

measures this package against torch.nn, Keras and NumPy on the same work:

    functions   each function against PyTorch's operator: small and large, forward, backward, memory
    mnist       a training step of the MNIST network, by everyone who can do it
    xor         a step on exclusive or; a thousand networks at once
    gradcheck   our gradcheck against torch.autograd's
    scale       wider, deeper, larger batches
    process     the time to the first step, and the most memory a training run holds

Contenders run in turn, and every round is compared with itself: expect ratios within a few per cent from run
to run on a quiet machine. Below 1 is faster. All of it takes a quarter of an hour, --quick two minutes. The
--seed draws some of the numbers that are computed with, on which no time depends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from matplotlib.figure import Figure

from manualgrad.benchmark import BENCHMARKS, FULL, QUICK, Table
from manualgrad.errors import UserError
from manualgrad.pictures.canvas import PALETTE
from manualgrad.table import print_table
from manualgrad.training import Metrics, Run, RunSettings, changed_settings, launch, option, prepare


@dataclass(frozen=True, kw_only=True)
class Settings(RunSettings):
    """What to measure, and how thoroughly."""

    what: Literal["all", "functions", "mnist", "xor", "gradcheck", "scale", "process"] = option(
        "all", "the benchmark to run", positional=True
    )
    rounds: int | None = option(None, "how often each contender runs (default: 15, quick 3)", minimum=2)
    quick: bool = option(False, "see that everything works; the figures mean little")


def run(settings: Settings) -> Metrics:
    """Measure, print a table for each race, and draw them all in one picture."""
    device = prepare(settings.device, settings.seed)
    if device.type != "cpu":
        raise UserError(f"--device {device}: the benchmark measures the CPU only, so far")
    effort = QUICK if settings.quick else FULL
    effort = replace(effort, rounds=settings.rounds or effort.rounds)
    names = list(BENCHMARKS) if settings.what == "all" else [settings.what]

    with Run("benchmark", changed_settings(settings), settings, device) as record:
        print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {effort.rounds} rounds")
        tables: list[Table] = []
        for name in names:
            for table in BENCHMARKS[name](effort):
                print_table(table.title, table.header, table.rows)
                record.page.text(table.title.partition(":")[0], as_markdown(table))
                tables.append(table)
        path = record.folder / "benchmark.png"
        figure = draw(tables)
        figure.savefig(path)
        record.page.figure("ratios", figure)
        print(f"picture: {path}")
        ratios = {f"{table.title}: {name}": ratio for table in tables for name, ratio in table.ratios.items()}
        return record.finish({"ratios": ratios})


def as_markdown(table: Table) -> str:
    """Return the table as TensorBoard's Text tab and a README take it."""
    lines = [table.header, ["---"] * len(table.header), *table.rows]
    return f"{table.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(tables: Sequence[Table]) -> Figure:
    """Draw every ratio as a bar, one axis a table: left of the line, at 1, is faster."""
    bars = [len(table.ratios) for table in tables]
    figure = Figure(figsize=(9, 1.5 + 0.22 * sum(bars) + 0.8 * len(tables)), layout="constrained")
    axes = figure.subplots(len(tables), squeeze=False, height_ratios=[count + 1 for count in bars])
    for axis, table in zip(axes.flat, tables, strict=True):
        names, ratios = list(table.ratios), list(table.ratios.values())
        colours = [PALETTE[0] if ratio <= 1 else PALETTE[1] for ratio in ratios]
        drawn = axis.barh(names, [ratio - 1 for ratio in ratios], left=1, color=colours)
        axis.bar_label(drawn, [f"{ratio:.3g}" for ratio in ratios], fontsize=7, padding=3)
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter("{x:g}")
        axis.margins(x=0.15)
        axis.invert_yaxis()
        axis.tick_params(labelsize=7)
        axis.set_title(table.title, fontsize=9, loc="left")
    figure.supxlabel("time, as a multiple of that of the row at 1; left of the line is faster", fontsize=8)
    return figure


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line and return the exit status."""
    return launch(run, Settings, __doc__, argv)


if __name__ == "__main__":
    raise SystemExit(main())
