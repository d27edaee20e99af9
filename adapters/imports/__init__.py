"""News that comes from an export or from a provider's API, compared with what is known."""
