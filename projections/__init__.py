"""Read models: pure folds over the log, and the one runner that keeps them."""
