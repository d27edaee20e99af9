"""A person forgotten, everywhere."""
