"""What a listing is and what can be read off it."""
