"""Packages, source trees, docs, notebooks, JSON lines and training rows in; documents with stable ids out."""
