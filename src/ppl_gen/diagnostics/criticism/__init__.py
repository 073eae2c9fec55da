"""Does a model fit? Replications, rows left out, reliability and two-sample tests."""
