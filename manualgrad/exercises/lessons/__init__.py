"""Pages for the exercises that are about more than one of the package's functions."""
