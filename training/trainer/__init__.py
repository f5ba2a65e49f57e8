"""The one package that imports trl and peft: models with adapters, and what trains them."""
