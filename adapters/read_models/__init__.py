"""Who keeps the read models, makes them anew, compares and watches them."""
