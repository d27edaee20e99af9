"""The writing side: commands decided in batches, and stored together."""
