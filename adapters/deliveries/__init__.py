"""What came in, whichever way: taken, set aside, refused."""
