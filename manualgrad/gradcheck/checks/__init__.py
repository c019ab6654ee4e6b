"""What is looked at: a check is a function of the session that reports what it finds."""
