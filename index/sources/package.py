"""An installed Python package in, its documents out.

One document per public object (signature and prose) and one per doctest block (prose before it and its code). Ids are
stable: they hold the distribution, the public path, and the block's number, never a position in the list.

Public path: the way a user writes it. A property whose return annotation is a class of the same package is followed
as a namespace, so `ExprStringNameSpace.contains` becomes `polars.Expr.str.contains`.

The package is imported, so it must be trusted; index/sources/code.py reads one that is not. Not covered: objects that
only appear on instances.
"""

import importlib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from functools import lru_cache

from index.documents import Document
from index.errors import CorpusError
from index.sources.docstrings import PublicObject, object_documents
from index.sources.locate import Locator

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
ATTRIBUTES = (property, types.GetSetDescriptorType)


def public_objects(package: str) -> list[PublicObject]:
    """All documented public objects of an installed package, each once, under its shortest public path.

    Raises CorpusError when the package cannot be imported or documents nothing.
    """
    refuse_malformed(package)
    try:
        root = importlib.import_module(package)
    except ImportError as error:
        raise CorpusError(
            f'package "{package}" cannot be imported ({error}): install it, or correct the name'
        ) from error
    by_identity: dict[int, tuple[str, object]] = {}
    for symbol, thing in sorted(walk(root, package, frozenset()), key=lambda pair: (pair[0].count("."), pair[0])):
        by_identity.setdefault(id(thing), (symbol, thing))
    found: dict[str, PublicObject] = {}
    locator = Locator(package)
    for symbol, thing in by_identity.values():
        docstring = inspect.getdoc(thing)
        if docstring and docstring.strip():
            place = locator.find(thing, docstring)
            found.setdefault(symbol, PublicObject(symbol, signature_of(thing), docstring, place))
    if not found:
        raise CorpusError(f'package "{package}" has no public docstrings: choose another package or another source')
    return [found[symbol] for symbol in sorted(found)]


def refuse_malformed(package: str) -> None:
    """Refuse what no import statement could name: Python's own functions fail on it, each in another way."""
    if not all(part.isidentifier() for part in package.split(".")):
        raise CorpusError(f'package "{package}" is no package\'s name: write it as `import` does, such as "polars"')


def walk(owner: object, path: str, seen: frozenset[int]) -> Iterator[tuple[str, object]]:
    """Yield (public path, object) below a module or class; `seen` ends cycles along one path."""
    if id(owner) in seen:
        return
    seen = seen | {id(owner)}
    for name in public_names(owner):
        thing = inspect.getattr_static(owner, name, None)
        child = f"{path}.{name}"
        if isinstance(owner, types.ModuleType):
            thing = getattr(owner, name, None)
        if isinstance(thing, types.ModuleType):
            if thing.__name__ == child:
                yield from walk(thing, child, seen)
        elif inspect.isclass(thing) and within(thing, path):
            yield child, thing
            yield from walk(thing, child, seen)
        elif namespace := namespace_class(thing, path):
            yield child, namespace
            yield from walk(namespace, child, seen)
        elif (callable(unwrapped(thing)) or isinstance(thing, ATTRIBUTES)) and within(unwrapped(thing), path):
            yield child, unwrapped(thing)


def public_names(owner: object) -> list[str]:
    """Names a user may write: `__all__` of a module plus its public modules, or a class's names and its bases'."""
    if inspect.isclass(owner):
        own = {name for base in owner.__mro__ if within(base, owner.__module__) for name in vars(base)}
        return sorted(name for name in own if not name.startswith("_"))
    home = getattr(owner, "__name__", "")
    names = set(getattr(owner, "__all__", ()))
    if not names:
        names = {name for name, thing in vars(owner).items() if getattr(thing, "__module__", None) == home}
    modules = {name for name, thing in vars(owner).items() if isinstance(thing, types.ModuleType)}
    return sorted(name for name in names | modules if not name.startswith("_"))


def within(thing: object, path: str) -> bool:
    """True when the object was defined in the package that `path` starts with.

    A property says so by its getter, a method of a compiled class by that class.
    """
    owners = (thing, getattr(thing, "fget", None), getattr(thing, "__objclass__", None))
    homes = [str(module) for owner in owners if (module := getattr(owner, "__module__", None))]
    return bool(homes) and homes[0].split(".")[0] == path.split(".")[0]


def unwrapped(thing: object) -> object:
    """The function behind a class method or static method."""
    return thing.__func__ if isinstance(thing, classmethod | staticmethod) else thing


def namespace_class(thing: object, path: str) -> type | None:
    """The class behind a namespace property such as `Expr.str`, or None."""
    getter = thing.fget if isinstance(thing, property) else None
    annotation = getattr(getter, "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        annotation = getattr(inspect.getmodule(getter), annotation.strip("'\""), None) or typing.Any
    is_namespace = (
        inspect.isclass(annotation) and within(annotation, path) and "amespace" in annotation.__name__.lower()
    )
    return annotation if is_namespace else None


def signature_of(thing: object) -> str:
    """The call signature as written, with `self` and annotations left out; empty for what cannot be called."""
    try:
        signature = inspect.signature(thing)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name not in ("self", "cls")]
    # A default without a representation of its own shows its address, another one in every process.
    return ADDRESS.sub("", str(signature.replace(parameters=parameters, return_annotation=signature.empty)))


@lru_cache(maxsize=1)
def distributions(path: tuple[str, ...]) -> Mapping[str, list[str]]:
    """The distributions of each top-level package on a path: every installed file is read for it, a second's work."""
    return importlib.metadata.packages_distributions()


def licence_of(package: str) -> str:
    """The distribution's licence as an SPDX expression or its classifier; "unknown" when it states none."""
    refuse_malformed(package)
    names = distributions(tuple(sys.path)).get(package, [package])
    try:
        metadata = importlib.metadata.metadata(names[0])
    except importlib.metadata.PackageNotFoundError:
        return "Python-2.0" if importlib.util.find_spec(package) else "unknown"
    if metadata["License-Expression"]:
        return metadata["License-Expression"]
    classifiers = [c.rsplit(" :: ", 1)[-1] for c in metadata.get_all("Classifier", []) if c.startswith("License ::")]
    return classifiers[0] if classifiers else (metadata["License"] or "unknown").splitlines()[0]


def version_of(package: str) -> str:
    """The distribution's version, or Python's own for the standard library."""
    names = distributions(tuple(sys.path)).get(package)
    return importlib.metadata.version(names[0]) if names else "stdlib"


def package_documents(package: str) -> list[Document]:
    """Read an installed package into documents; raises CorpusError when it has no docstrings."""
    things = public_objects(package)
    licence, source = licence_of(package), f"{package}=={version_of(package)}"
    return [document for thing in things for document in object_documents(thing, package, source, licence)]
