"""Everything that touches the world: HTTP, providers, storage, settings, the command line."""
