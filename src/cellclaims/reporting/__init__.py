"""Numbers into words: the only place where a result is rounded."""
