"""The training recipes, one `main(config)` each, and what they share: where they start, what they practise on."""
