"""Text in, unit vectors out: the encoders behind index/embed.py, and what remembers their vectors."""
