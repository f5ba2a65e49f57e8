"""Queries whose outcome is known in; a bundle's calibration, and what the gate is worth, out."""
