"""Who may ask what: tokens and roles, the client's address, and the limiter of failures."""
