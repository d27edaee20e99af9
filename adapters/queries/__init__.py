"""What people ask of the read models, of the log and of the past."""
