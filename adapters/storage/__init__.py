"""Where the log and the read models are kept. One module per database, one contract for both."""
