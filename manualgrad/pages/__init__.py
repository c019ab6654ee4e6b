"""What an experiment's page shows beyond what every network's does: one module an experiment."""
