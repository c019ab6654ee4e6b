"""Draw the pictures of a run: pure functions from tensors to a matplotlib ``Figure``.

A script shows one by ``run.log_figure(tag, step, plot_decision_boundary, ...)``, a notebook as it is.
"""
