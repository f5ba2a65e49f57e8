"""Tasks in; a bundle and scores out."""
