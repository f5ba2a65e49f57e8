"""Everything index/ can refuse.

IndexFault
├── ConfigError        a YAML file that cannot be read as the settings its folder means
├── EncoderError       an encoder that cannot be loaded, or whose vectors cannot be trusted
├── CorpusError        a package, a document or a query that cannot be indexed
├── CalibrationError   labels from which no threshold can be promised
└── BundleError        a bundle that must not be served: missing, altered, or made for another base
"""


class IndexFault(Exception):
    """Root of this package's errors; its text says what, the value in quotes, and the cure."""


class ConfigError(IndexFault):
    """A configuration file that cannot be read as its settings class."""


class EncoderError(IndexFault):
    """A model folder that holds no usable encoder, or vectors that are not what they should be."""


class CorpusError(IndexFault):
    """A source that yields no documents, or a query that cannot be searched."""


class CalibrationError(IndexFault):
    """A label set too small or too mixed for the promised risk."""


class BundleError(IndexFault):
    """A bundle that is incomplete, altered, malformed, or made for another base, template or encoder."""
