"""The derivative by finite differences, each repeated with smaller steps until it is certain."""
