"""The console in a real browser. A package, so that the browser ends with its tests: while it is
driven, an event loop runs on the thread that other tests want for theirs."""
