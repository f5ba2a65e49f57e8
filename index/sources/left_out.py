"""What a source was not read from, counted by reason and told once: nothing is lost in silence."""

import logging

logger = logging.getLogger(__name__)

NAMES_SHOWN = 5


class LeftOut:
    """Collects the names that one source leaves out."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._names: dict[str, list[str]] = {}

    def add(self, reason: str, name: str) -> None:
        """Note that something was left out, of the kind that `reason` names in the plural: "folders by their name"."""
        self._names.setdefault(reason, []).append(name)

    def tell(self) -> None:
        """Log one warning for each reason: how many, and the first names."""
        for reason, names in self._names.items():
            more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
            shown = ", ".join(names[:NAMES_SHOWN])
            logger.warning("%s: left out %s (%d): %s%s", self._label, reason, len(names), shown, more)
