"""What the service tells of itself: logs, figures, traces."""
